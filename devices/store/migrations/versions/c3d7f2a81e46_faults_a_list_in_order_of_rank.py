"""faults: a page of the list is read off its index, and not sorted out of all of a state"""

from alembic import op

revision = 'c3d7f2a81e46'
down_revision = 'a91d4e07c5b2'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('faults') as batch_op:
        batch_op.drop_index('ix_faults_state_rank')
        batch_op.create_index(
            'ix_faults_state_rank', ['state', 'rank', 'opened_at_ms', 'id'], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table('faults') as batch_op:
        batch_op.drop_index('ix_faults_state_rank')
        batch_op.create_index('ix_faults_state_rank', ['state', 'rank', 'id'], unique=False)
