"""faults: those that lasted"""

import sqlalchemy as sa
from alembic import op

revision = "a2a98c1b999d"
down_revision = '8ade80c32eb0'
branch_labels = None
depends_on = None

_LASTED = sa.text("closed_at_ms - opened_at_ms > 86400000")


def upgrade() -> None:
    op.create_index(
        "ix_faults_lasting",
        "faults",
        ["closed_at_ms"],
        sqlite_where=_LASTED,
        postgresql_where=_LASTED,
    )


def downgrade() -> None:
    op.drop_index("ix_faults_lasting", "faults")
