"""revisions: the newest of one kind"""

from alembic import op

revision = "7ae083fd0963"
down_revision = "619821ad2463"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_revisions_what", "revisions", ["what", "id"])


def downgrade() -> None:
    op.drop_index("ix_revisions_what", "revisions")
