"""Tables of the operational database, the same on SQLite and PostgreSQL.

Instants are UTC epoch milliseconds in columns that end in `_ms`. `stream` is "live" for what the
broker delivers, or the name of a back-filled history: a history has its own cursor and its own
judge state and never touches the live one.
"""

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)

from devices.judgement import LIVE as LIVE

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives a rowid to INTEGER keys only; PostgreSQL gets the wide type.
_Number = BigInteger().with_variant(Integer, "sqlite")

firms = Table(
    "firms",
    metadata,
    Column("id", String(63), primary_key=True),
    Column("name_zh", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    Column("contacts", JSON, nullable=False),
)

compounds = Table(
    "compounds",
    metadata,
    Column("id", String(63), primary_key=True),
    Column("name_zh", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    Column("firm", ForeignKey("firms.id"), nullable=False),
    Column("households", Integer, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("latitude", Float, nullable=False),
    Column("longitude", Float, nullable=False),
    Column("synthetic", Boolean, nullable=False),
    Column("contacts", JSON, nullable=False),
)

devices = Table(
    "devices",
    metadata,
    Column("no", _Number, primary_key=True, autoincrement=True),
    Column("id", String(63), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("compound", ForeignKey("compounds.id"), nullable=False),
    Column("parent", String(63)),
    Column("circuit", Text),
    Column("name", Text, nullable=False),
    Column("protocol", String(32), nullable=False),
    Column("external_id", Text, nullable=False, server_default=""),
    Column("vendor", Text, nullable=False, server_default=""),
    Column("model", Text, nullable=False, server_default=""),
    Column("building", Text, nullable=False, server_default=""),
    Column("unit", Text, nullable=False, server_default=""),
    Column("interval_s", Integer, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("commissioned_at_ms", BigInteger),
    Column("decommissioned_at_ms", BigInteger),
    Index("ix_devices_compound_kind", "compound", "kind", "id"),
    Index("ix_devices_parent", "parent"),
    Index(
        "uq_devices_protocol_external_id",
        "protocol",
        "external_id",
        unique=True,
        sqlite_where=text("external_id <> ''"),
        postgresql_where=text("external_id <> ''"),
    ),
)

# What a device is like now. `latest` and `memory` are msgpack: {quantity: [value, at_ms]}, and what
# the judge must remember to go on after a restart (its own business: api does not read it).
device_state = Table(
    "device_state",
    metadata,
    Column("stream", String(63), primary_key=True),
    Column("device_no", _Number, primary_key=True),
    Column("state", String(12), nullable=False),  # online, offline, unknown, never_seen
    Column("reason", String(24)),  # lwt, heartbeat_missed, asleep, …: `ingest.judge.memory.Why`
    Column("since_ms", BigInteger),
    Column("last_seen_ms", BigInteger),
    Column("device_at_ms", BigInteger),
    Column("latest", LargeBinary, nullable=False),
    Column("memory", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# How many devices of a compound and kind are in each state; absolute, written by the judge with the
# change that moves one, so that the overview never scans devices.
compound_counts = Table(
    "compound_counts",
    metadata,
    Column("compound", String(63), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("online", Integer, nullable=False),
    Column("offline", Integer, nullable=False),
    Column("unknown", Integer, nullable=False),
    Column("never_seen", Integer, nullable=False),
    sqlite_with_rowid=False,
)

LASTED = "closed_at_ms - opened_at_ms > 86400000"

faults = Table(
    "faults",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("stream", String(63), nullable=False),
    Column("subject", String(63), nullable=False),
    Column("code", String(40), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("device", String(63)),
    Column("compound", String(63)),
    Column("severity", String(2), nullable=False),
    Column("safety", Boolean, nullable=False),
    Column("suspected", Boolean, nullable=False),
    Column("state", String(12), nullable=False),  # open, acknowledged, cleared, closed
    Column("since_ms", BigInteger, nullable=False),
    Column("opened_at_ms", BigInteger, nullable=False),
    Column("acknowledged_at_ms", BigInteger),
    Column("acknowledged_by", Text),
    Column("cleared_at_ms", BigInteger),
    Column("closed_at_ms", BigInteger),
    Column("suppressed_by", String(40)),
    Column("shelved_until_ms", BigInteger),
    Column("assignee", Text),
    Column("resolution", Text),
    Column("occurrences", Integer, nullable=False),
    Column("late", Boolean, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("raises_ms", JSON),  # the newest raises, of which flapping is told
    Column("flaps", Integer, nullable=False, server_default="0"),
    Column("repeat_of", String(40)),  # the fault before it of this subject and code, within 7 days
    Column("maintenance", String(40)),  # the window that holds its notices
    Column("impact", JSON),  # who and what it concerns, see devices.impact
    Column("rank", Float, nullable=False, server_default="0"),  # the list is sorted by it
    Column("onsite_at_ms", BigInteger),
    Column("repaired_at_ms", BigInteger),
    Column("confirmed_at_ms", BigInteger),  # a person says that what was suspected is so
    Index(
        "uq_faults_open",
        "stream",
        "subject",
        "code",
        unique=True,
        sqlite_where=text("state <> 'closed'"),
        postgresql_where=text("state <> 'closed'"),
    ),
    Index("ix_faults_opened", "opened_at_ms", "id"),
    Index("ix_faults_compound_opened", "compound", "opened_at_ms", "id"),
    Index("ix_faults_device_opened", "device", "opened_at_ms", "id"),
    Index("ix_faults_state_compound", "state", "compound", "severity"),
    Index("ix_faults_state_rank", "state", "rank", "opened_at_ms", "id"),
    Index("ix_faults_subject_code", "subject", "code", "opened_at_ms"),
    Index("ix_faults_suppressed_by", "suppressed_by"),
    # The few that stood for more than a day: what stood when a range began is either here, or not
    # closed, or was opened on the day before.
    Index(
        "ix_faults_lasting",
        "closed_at_ms",
        sqlite_where=text(LASTED),
        postgresql_where=text(LASTED),
    ),
)

# What happened to faults; rows are never updated, but for the mark that they were routed.
fault_events = Table(
    "fault_events",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("fault", ForeignKey("faults.id"), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("was", String(12)),
    Column("becomes", String(12), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("actor", Text, nullable=False),
    Column("note", Text),
    Column("evidence", JSON),
    Column("routed_at_ms", BigInteger),
    # nobody is told before: a root cause may take it meanwhile. Null: at once
    Column("notice_at_ms", BigInteger),
    # why nobody is told of it: flapping, maintenance, shelved, suspected. Null: people are told
    Column("held", String(16)),
    Index("ix_fault_events_fault", "fault", "id"),
    Index(
        "ix_fault_events_unrouted",
        "id",
        sqlite_where=text("routed_at_ms IS NULL"),
        postgresql_where=text("routed_at_ms IS NULL"),
    ),
)

# When the notices of faults are held, by whom and why. kind, devices, codes narrow it down; null is
# any. ended_at_ms: somebody ended it before its time.
maintenance = Table(
    "maintenance",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("compound", String(63)),
    Column("kind", String(16)),
    Column("devices", JSON),
    Column("codes", JSON),
    Column("starts_at_ms", BigInteger, nullable=False),
    Column("ends_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("reason", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Index("ix_maintenance_ends", "ends_at_ms", "id"),
    Index("ix_maintenance_compound", "compound", "ends_at_ms"),
)

# Where notices are sent. firm: whose people are there; null: the district's. secrets: the newest
# first. broken: what a person must mend before anything is sent there again. One worker at a time
# sends to a target: it has leased it. not_before_ms: the target failed, or asked to be left alone.
targets = Table(
    "targets",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("firm", ForeignKey("firms.id")),
    Column("name", Text, nullable=False),
    Column("channel", String(16), nullable=False),
    Column("url", Text, nullable=False),
    Column("secrets", JSON, nullable=False),
    Column("language", String(2), nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("deleted_at_ms", BigInteger),
    Column("broken", Text),
    Column("broken_at_ms", BigInteger),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("not_before_ms", BigInteger, nullable=False, server_default="0"),
    Column("leased_by", String(40)),
    Column("leased_until_ms", BigInteger),
)

# Who is told of faults; targets: ids of those by which they are reached.
people = Table(
    "people",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("firm", ForeignKey("firms.id")),
    Column("name", Text, nullable=False),
    Column("language", String(2), nullable=False),
    Column("phone", Text, nullable=False),
    Column("targets", JSON, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("changed_by", Text),
    Column("changed_at_ms", BigInteger),
    Column("deleted_at_ms", BigInteger),
)

# Who is on duty when: devices.rosters. people, levels: ids.
rosters = Table(
    "rosters",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("firm", ForeignKey("firms.id")),
    Column("name", Text, nullable=False),
    Column("rotation", String(8), nullable=False),
    Column("starts_on", String(10), nullable=False),
    Column("handover_min", Integer, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("people", JSON, nullable=False),
    Column("levels", JSON, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("changed_by", Text),
    Column("changed_at_ms", BigInteger),
    Column("deleted_at_ms", BigInteger),
)

# Who stands in for whom, in one roster or wherever they are named.
stand_ins = Table(
    "stand_ins",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("firm", ForeignKey("firms.id")),
    Column("person", ForeignKey("people.id"), nullable=False),
    Column("substitute", ForeignKey("people.id"), nullable=False),
    Column("roster", ForeignKey("rosters.id")),
    Column("from_ms", BigInteger, nullable=False),
    Column("to_ms", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("deleted_at_ms", BigInteger),
    Index("ix_stand_ins_to", "to_ms"),
)

# Public holidays and make-up working days of a year, as operators entered them.
holidays = Table(
    "holidays",
    metadata,
    Column("year", Integer, primary_key=True, autoincrement=False),
    Column("off", JSON, nullable=False),  # [{name, first, last}]
    Column("work", JSON, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
)

# Which faults a target, a person or a roster is told of: one of the three. Null, or no severity, is
# any; hours: devices.calendars.Hours, null for always.
routes = Table(
    "routes",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("target", ForeignKey("targets.id")),
    Column("person", ForeignKey("people.id")),
    Column("roster", ForeignKey("rosters.id")),
    Column("hours", JSON(none_as_null=True)),
    Column("firm", ForeignKey("firms.id")),
    Column("compound", String(63)),
    Column("kind", String(16)),
    Column("code", String(40)),
    Column("severities", JSON, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("deleted_at_ms", BigInteger),
    Index("ix_routes_target", "target"),
)

# To whom an event of a fault goes, and what became of it; without a target: why to nobody. message:
# the key under which it is sent, alone or with others of a digest; fixed before the first try.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("fault", ForeignKey("faults.id"), nullable=False),
    Column("event", ForeignKey("fault_events.id"), nullable=False),
    Column("target", ForeignKey("targets.id")),
    Column("person", String(40)),  # who was reached by it, where a route led to them
    Column("state", String(12), nullable=False),  # devices.alerts.DeliveryState
    Column("reason", String(32)),
    Column("safety", Boolean, nullable=False),
    Column("message", String(80)),
    Column("attempts", Integer, nullable=False),
    Column("next_at_ms", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("first_at_ms", BigInteger),
    Column("attempted_at_ms", BigInteger),
    Column("done_at_ms", BigInteger),
    Column("answer", Text),
    UniqueConstraint("event", "target", name="uq_deliveries_event_target"),
    Index("ix_deliveries_fault", "fault", "id"),
    Index(
        "ix_deliveries_pending",
        "target",
        "id",
        sqlite_where=text("state = 'pending'"),
        postgresql_where=text("state = 'pending'"),
    ),
    Index("ix_deliveries_target_attempted", "target", "attempted_at_ms"),
    # when the first of them arrived, of many faults
    Index(
        "ix_deliveries_arrived",
        "fault",
        "done_at_ms",
        sqlite_where=text("state = 'delivered'"),
        postgresql_where=text("state = 'delivered'"),
    ),
)

# What the links in messages are signed with: the newest one signs. ended_at_ms: its links are dead.
link_keys = Table(
    "link_keys",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("secret", LargeBinary, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
)

# How soon a firm is to answer and to mend, where not as by default. Rows are never changed: the
# newest before a fault was raised is the one that counts for it. body: devices.sla.
sla_limits = Table(
    "sla_limits",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("firm", ForeignKey("firms.id"), nullable=False),
    Column("body", JSON, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

# Faults that wait for somebody's answer, see devices.escalation.Call; each until somebody has
# answered. event: the notice that began it.
calls = Table(
    "calls",
    metadata,
    Column("fault", ForeignKey("faults.id"), primary_key=True),
    Column("event", ForeignKey("fault_events.id"), nullable=False),
    Column("called_ms", BigInteger, nullable=False),
    Column("from_ms", BigInteger),
    Column("level", Integer, nullable=False),
    Column("reminders", Integer, nullable=False),
    Column("reminded_ms", BigInteger),
    Column("next_at_ms", BigInteger, nullable=False),
    Index("ix_calls_next", "next_at_ms"),
)

# How faults are escalated, as people changed it. firm: empty for the district's.
escalation_policies = Table(
    "escalation_policies",
    metadata,
    Column("firm", String(63), primary_key=True),
    Column("severity", String(2), primary_key=True),
    Column("steps", JSON, nullable=False),
    Column("remind_every_s", Integer),
    Column("reminders", Integer, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
)

# When a target is left alone, and when it is told how its day was: local times, `22:00`, of its
# time zone. summary_due_ms: when its next summary is due; null: it wants none.
target_hours = Table(
    "target_hours",
    metadata,
    Column("target", ForeignKey("targets.id"), primary_key=True),
    Column("timezone", Text, nullable=False),
    Column("quiet_from", String(5)),
    Column("quiet_to", String(5)),
    Column("summary_at", String(5)),
    Column("summary_due_ms", BigInteger),
    Index("ix_target_hours_summary_due", "summary_due_ms"),
)

# What a target is told of a day, as it was counted; one for each local day. until_ms: it is not
# sent any more then. state, attempts, answer: as of a delivery.
summaries = Table(
    "summaries",
    metadata,
    Column("target", ForeignKey("targets.id"), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("body", JSON, nullable=False),
    Column("state", String(12), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("next_at_ms", BigInteger, nullable=False),
    Column("attempted_at_ms", BigInteger),
    Column("done_at_ms", BigInteger),
    Column("answer", Text),
    Index(
        "ix_summaries_pending",
        "target",
        sqlite_where=text("state = 'pending'"),
        postgresql_where=text("state = 'pending'"),
    ),
    Index("ix_summaries_created", "created_at_ms"),
)

# What was changed of the rules' thresholds: whole files, the newest is the one that counts.
rule_sets = Table(
    "rule_sets",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("body", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

# What the judge must remember of a compound as a whole: who fell silent together, and what stands
# for them. msgpack, its own business.
compound_state = Table(
    "compound_state",
    metadata,
    Column("stream", String(63), primary_key=True),
    Column("compound", String(63), primary_key=True),
    Column("memory", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# What a device usually does, by hour of the week. msgpack, the judge's own business; written once
# an hour, so not in the row that each commit writes.
baselines = Table(
    "baselines",
    metadata,
    Column("stream", String(63), primary_key=True),
    Column("device_no", _Number, primary_key=True),
    Column("memory", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# One charging transaction of a port; `order` is the shed's number, unique with the shed.
sessions = Table(
    "sessions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("stream", String(63), nullable=False),
    Column("compound", String(63), nullable=False),
    Column("shed", String(63), nullable=False),
    Column("port", String(63), nullable=False),
    Column("order", Text, nullable=False),
    Column("state", String(8), nullable=False),  # open, closed
    Column("started_at_ms", BigInteger),
    Column("ended_at_ms", BigInteger),
    Column("duration_s", BigInteger),
    Column("energy_kwh", Float),
    Column("fee_fen", BigInteger),
    Column("stop_reason", String(24)),
    Column("native_reason", Text),
    Column("ended_by", String(8)),  # device, platform
    Column("provisional", Boolean, nullable=False),
    # what was measured of it (devices.reconciliation), and of which share of its time; all null
    # while that is not worked out. The judge writes it with the rest; who works hours out again
    # writes it alone.
    Column("register_kwh", Float),
    Column("register_known", Float),
    Column("power_kwh", Float),
    Column("power_known", Float),
    UniqueConstraint("shed", "order", name="uq_sessions_shed_order"),
    # PostgreSQL is told, by a migration, that a port says the shed and the compound: without that
    # (st_sessions_place) it sorts a year of sessions instead of reading a page off these
    Index("ix_sessions_compound_started", "compound", "started_at_ms", "id"),
    Index("ix_sessions_port_started", "port", "started_at_ms"),
)

# Usage of one device in one hour. `figures` is msgpack of what `devices.usage` defines for the
# kind. The judge writes the newest hours of a device as absolute figures; events that come late,
# for an hour that it no longer has in memory, are added to the row, in the transaction that moves
# its cursor. `metered`, where it is set, stands in place of the figures that reports add up to:
# worked out again from the telemetry store, by another writer.
usage_hours = Table(
    "usage_hours",
    metadata,
    Column("compound", String(63), primary_key=True),
    Column("hour_ms", BigInteger, primary_key=True),
    Column("device_no", _Number, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("received", Integer, nullable=False),  # reports that arrived
    Column("expected", Float, nullable=False),  # reports that the interval promises
    Column("figures", LargeBinary, nullable=False),
    Column("metered", LargeBinary),
    sqlite_with_rowid=False,
)

# What registers moved by without a figure (devices.registers): from which reading to which, and
# why. `at_ms` is that of the second, in whose hour `excluded_kwh` counts. As with the figures of
# that hour, the judge writes it, and who works the hour out again puts its own in place of it.
usage_exclusions = Table(
    "usage_exclusions",
    metadata,
    Column("device_no", _Number, primary_key=True),
    Column("at_ms", BigInteger, primary_key=True),
    Column("quantity", String(40), primary_key=True),
    Column("compound", String(63), nullable=False),
    Column("from_ms", BigInteger, nullable=False),
    Column("before_kwh", Float, nullable=False),
    Column("after_kwh", Float, nullable=False),
    Column("excluded_kwh", Float, nullable=False),
    Column("why", String(24), nullable=False),
    Index("ix_usage_exclusions_compound", "compound", "at_ms"),
)

# Hours whose metered figures must be worked out again, because a report of them came behind newer
# ones; once forward has passed `position` of that journal, and `revision`.
usage_again = Table(
    "usage_again",
    metadata,
    Column("device_no", _Number, primary_key=True),
    Column("hour_ms", BigInteger, primary_key=True),
    Column("journal_id", String(32), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("from_ms", BigInteger, nullable=False),  # not before; 0: at once
    sqlite_with_rowid=False,
)

# Sums of a compound's local days that are over, and of its months: a year of a district is then a
# read of some thousand rows. Made from usage_hours in the background (devices.store.usage_days);
# whoever writes an hour of a day that is over marks that day as due in the same transaction, and
# counts `marks` up, so that a mark which came while the sums were made is not taken away with the
# old one. `sums` is msgpack: {kind: [received, expected, socket-seconds known of, figures]}.
usage_days = Table(
    "usage_days",
    metadata,
    Column("compound", String(63), primary_key=True),
    Column("day_ms", BigInteger, primary_key=True),  # when the day began, in the compound's time
    Column("sums", LargeBinary, nullable=False),
    Column("built_at_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

usage_months = Table(
    "usage_months",
    metadata,
    Column("compound", String(63), primary_key=True),
    Column("month_ms", BigInteger, primary_key=True),
    Column("sums", LargeBinary, nullable=False),
    Column("built_at_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Who passed the gates of a compound on a local day, as keyed hashes of eight bytes each, sorted:
# how many different ones there were in a week is not the sum of its days. Written by the judge, in
# the transaction that moves its cursor.
usage_credentials = Table(
    "usage_credentials",
    metadata,
    Column("compound", String(63), primary_key=True),
    Column("day_ms", BigInteger, primary_key=True),
    Column("hashes", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Figures of a compound's local days, weeks and months that do not add up. unit: day, week, month.
# People are made with usage_days, for questions about many compounds. peak_ports is of days alone,
# and negative where it is to be worked out: a session of that day was written, so many times
# (devices.store.usage_peaks).
usage_units = Table(
    "usage_units",
    metadata,
    Column("compound", String(63), primary_key=True),
    Column("unit", String(8), primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),
    Column("credentials", BigInteger, nullable=False),  # different ones
    Column("peak_ports", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Since when a figure of the hours is counted, where that is not as long as there are hours.
usage_since = Table(
    "usage_since",
    metadata,
    Column("figure", String(32), primary_key=True),
    Column("since_ms", BigInteger, nullable=False),
)

# Several days at once: the first so many of a month, or the last so many.
usage_spans = Table(
    "usage_spans",
    metadata,
    Column("compound", String(63), primary_key=True),
    Column("from_ms", BigInteger, primary_key=True),
    Column("to_ms", BigInteger, primary_key=True),
    Column("sums", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

usage_days_due = Table(
    "usage_days_due",
    metadata,
    Column("compound", String(63), primary_key=True),
    Column("day_ms", BigInteger, primary_key=True),
    Column("marks", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What people or a recount add to the usage of a day that is final; rows are never changed. `lines`
# is msgpack, what is added to which hour: [[hour_ms, device_no or 0, kind, received, figures]].
# `stated`: what was said, for people. from_ms, to_ms: from the first of these hours to the last.
usage_corrections = Table(
    "usage_corrections",
    metadata,
    Column("compound", String(63), primary_key=True),
    Column("day_ms", BigInteger, primary_key=True),  # when the day began, in the compound's time
    Column("revision", Integer, primary_key=True),  # of that day, from 1 on
    Column("id", String(40), nullable=False, unique=True),
    Column("way", String(8), nullable=False),  # stated, recount
    Column("kinds", JSON, nullable=False),
    Column("device", String(63)),
    Column("from_ms", BigInteger, nullable=False),
    Column("to_ms", BigInteger, nullable=False),
    Column("stated", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("corrects", String(40)),  # the id of the one that was wrong
    Column("created_by", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("lines", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# What became of the messages of an hour (of receive time). outcome: stored, duplicate, quarantined
# add up to what was received; late, clock, retained, partial, unknown are marks on stored ones;
# part counts the rejected parts of stored messages by reason.
accounts = Table(
    "accounts",
    metadata,
    Column("stream", String(63), primary_key=True),
    Column("compound", String(63), primary_key=True),  # "unassigned" where the origin is unknown
    Column("hour_ms", BigInteger, primary_key=True),
    Column("outcome", String(12), primary_key=True),
    Column("reason", String(24), primary_key=True),
    Column("count", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("journal_id", String(32), nullable=False),
    Column("jseq", BigInteger, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("compound", String(63), nullable=False),
    Column("device", String(63)),
    Column("topic", Text, nullable=False),
    Column("reason", String(24), nullable=False),
    Column("detail", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("payload", LargeBinary),  # null beyond the cap per device, reason and hour
    Column("partial", Boolean, nullable=False),  # the message itself was stored
    Column("replayed_at_ms", BigInteger),  # it was judged again, and is `outcome` now
    Column("flags", Integer),  # of the journal; null in rows of older versions
    Column("outcome", String(12)),  # stored, duplicate
    UniqueConstraint("journal_id", "jseq", name="uq_quarantine_journal_id_jseq"),
    Index("ix_quarantine_compound", "compound", "id"),
    Index("ix_quarantine_reason", "reason", "id"),
)

# Where each follower of a log stands. `memory` is msgpack and the follower's own business; for
# "forward" it holds what the telemetry store confirmed.
cursors = Table(
    "cursors",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("journal_id", String(32), nullable=False),
    Column("position", BigInteger, nullable=False),  # last batch whose effects are committed
    Column("jseq", BigInteger, nullable=False),  # last message in it
    Column("revision", BigInteger, nullable=False),
    Column("watermark_ms", BigInteger),  # send time of the newest probe that was judged
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("memory", LargeBinary, nullable=False),
)

# Imports of files into the registry. previewed: nothing is written yet. `content`, `lines`: zlib
# of msgpack, what was read and what it would do (devices.imports); `step` likewise, what was done,
# for the way back. digest: of what was shown, so that this and nothing else is done.
registry_imports = Table(
    "registry_imports",
    metadata,
    Column("no", _Number, primary_key=True, autoincrement=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("source", Text, nullable=False),  # name of the file
    Column("state", String(12), nullable=False),  # previewed, applied, undone
    Column("made_at_ms", BigInteger, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),  # of the registry that it was held against
    Column("digest", String(64), nullable=False),
    Column("added", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("unchanged", Integer, nullable=False),
    Column("wrong", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("lines", LargeBinary, nullable=False),
    Column("step", LargeBinary),
    Column("applied_at_ms", BigInteger),
    Column("applied_by", Text),
    Column("undone_at_ms", BigInteger),
    Column("undone_by", Text),
)

# Senders that are in no registry, and that people do not want to see again.
ignored_senders = Table(
    "ignored_senders",
    metadata,
    Column("protocol", String(32), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("ignored_by", Text, nullable=False),
    sqlite_with_rowid=False,
)

# Numbered log of what people decide: registry, maintenance, actions on faults. The judge reads it
# at batch borders.
revisions = Table(
    "revisions",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("what", String(24), nullable=False),  # registry, fault, replay
    Column("subject", String(63), nullable=False),
    Column("body", JSON, nullable=False),
    # the newest of one kind, asked every second: behind 100,000 others it took 12 ms without
    Index("ix_revisions_what", "what", "id"),
)

# Identities of events, and of messages without a sequence number; kept for ten days.
event_keys = Table(
    "event_keys",
    metadata,
    Column("stream", String(63), primary_key=True),
    Column("key", LargeBinary(16), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Index("ix_event_keys_at", "at_ms"),
    sqlite_with_rowid=False,
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("role", String(8), nullable=False),  # operator, firm, viewer
    Column("firm", ForeignKey("firms.id")),
    Column("name", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("revoked_at_ms", BigInteger),
    Column("created_by", Text, nullable=False, server_default=""),
    Column("used_at_ms", BigInteger),  # last, to some minutes
)

# Somebody who logs in with a name and a password. Role, firm, when made and whether disabled are
# in their row of `tokens`, which no secret opens: whatever is a token's (sessions) is theirs too.
users = Table(
    "users",
    metadata,
    Column("token", ForeignKey("tokens.id"), primary_key=True),
    Column("name", String(63), nullable=False, unique=True),
    Column("display", Text, nullable=False),
    Column("language", String(2)),  # null: as their browser wants it
    Column("password", Text, nullable=False),  # argon2id, with its salt and cost
    Column("password_at_ms", BigInteger, nullable=False),
)

# Who has one of these makes the first user; empty once there is one.
setup_codes = Table(
    "setup_codes",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("made_at_ms", BigInteger, nullable=False),
)

# What people changed, and who: each row's hash covers it and the one before (devices.audit). Rows
# are only ever added: triggers refuse the rest.
audit_log = Table(
    "audit_log",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("token", BigInteger),  # null: a command
    Column("origin", String(16), nullable=False),  # api, console, command
    Column("address", Text, nullable=False),
    Column("method", String(16), nullable=False),
    Column("resource", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("detail", Text, nullable=False),  # JSON, as it was hashed
    Column("before", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Index("ix_audit_log_actor", "actor", "number"),
)

# A migration that copies the table, as changes of columns do on SQLite, must make them again.
_KEPT = "rows of audit_log are only added: neither changed nor deleted"
_KEEP_ROWS = {
    "sqlite": [
        f"CREATE TRIGGER audit_log_is_kept_{what.lower()} BEFORE {what} ON audit_log"
        f" BEGIN SELECT RAISE(ABORT, '{_KEPT}'); END"
        for what in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION audit_log_is_kept() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_KEPT}'; END $$",
        "CREATE TRIGGER audit_log_is_kept BEFORE UPDATE OR DELETE ON audit_log"
        " FOR EACH ROW EXECUTE FUNCTION audit_log_is_kept()",
    ],
}
for _dialect, _statements in _KEEP_ROWS.items():
    for _statement in _statements:
        _ddl = DDL(_statement)  # type: ignore[no-untyped-call]  # SQLAlchemy's own
        event.listen(audit_log, "after_create", _ddl.execute_if(dialect=_dialect))

# Where the chain ends: one row, which whoever adds to the log holds until that is committed.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
)

# Answers to requests that carry an Idempotency-Key; kept for a day.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("token", ForeignKey("tokens.id"), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("request", String(64), nullable=False),  # SHA-256 of method, address and body
    Column("answer", LargeBinary, nullable=False),  # JSON
    Column("at_ms", BigInteger, nullable=False),
    Index("ix_idempotency_keys_at", "at_ms"),
)

# What somebody looks for again and again: a question to the list of faults, under a name of theirs.
saved_filters = Table(
    "saved_filters",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("token", ForeignKey("tokens.id"), nullable=False),
    Column("name", String(60), nullable=False),
    Column("query", Text, nullable=False),  # of the address, in our own order
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("token", "name", name="uq_saved_filters_token_name"),
)

# A browser that logged in with a token.
web_sessions = Table(
    "web_sessions",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("token", ForeignKey("tokens.id"), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
)

# How far long work has come: the back-filled history of the demo.
progress = Table(
    "progress",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("body", JSON, nullable=False),
)
