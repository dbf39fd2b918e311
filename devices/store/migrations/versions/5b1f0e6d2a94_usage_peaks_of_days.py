"""usage: peaks of days"""

from alembic import op

revision = '5b1f0e6d2a94'
down_revision = '7705487e8ba4'
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Peaks were made once, and stood whatever sessions were closed or told of later: they are made
    # anew in the background, and read from sessions until then. Days of before there were any get
    # a row; of people nothing was counted then, which usage_since says.
    op.execute("UPDATE usage_units SET peak_ports = -1")
    op.execute(
        "INSERT INTO usage_units (compound, unit, start_ms, credentials, peak_ports)"
        " SELECT compound, 'day', day_ms, 0, -1 FROM usage_days AS made WHERE NOT EXISTS"
        " (SELECT 1 FROM usage_units AS there WHERE there.compound = made.compound"
        " AND there.unit = 'day' AND there.start_ms = made.day_ms)"
    )


def downgrade() -> None:
    op.execute("UPDATE usage_units SET peak_ports = 0 WHERE peak_ports < 0")
