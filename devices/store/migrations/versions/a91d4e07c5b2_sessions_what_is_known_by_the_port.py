"""sessions: a port says the shed and the compound

PostgreSQL takes each of them for a chance of its own: it expects a hundredth of the sessions that a
shed of a compound has, and sorts a year of them for each page of a list, instead of reading the
page off the index. SQLite does not.
"""

from alembic import op

revision = 'a91d4e07c5b2'
down_revision = '5b1f0e6d2a94'
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE STATISTICS st_sessions_place (dependencies)"
                   " ON compound, shed, port FROM sessions")
        op.execute("ANALYZE sessions")  # a sample; autovacuum comes only when a tenth is new


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP STATISTICS st_sessions_place")
