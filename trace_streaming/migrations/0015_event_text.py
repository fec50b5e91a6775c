"""What watchers are sent is stored as it is sent, and read without being put together again."""

from datetime import UTC

import orjson
from django.conf import settings
from django.db import migrations, models

CHUNK = 1000


def put_together(apps, schema_editor):
    """As events were put together when they were read, until now."""
    connection, event = schema_editor.connection, apps.get_model("trace_streaming", "Event")
    events = event.objects.using(connection.alias).order_by("pk")
    columns = ("trace__trace_id", "event", "timestamp", "details", "status", "sequence", "tool_name", "duration_ms")
    _in_chunks(connection, event, events, columns, "UPDATE {table} SET text = %s WHERE id = %s", lambda row: (text(*row),))


def take_apart(apps, schema_editor):
    connection, event = schema_editor.connection, apps.get_model("trace_streaming", "Event")
    events = event.objects.using(connection.alias).order_by("pk")
    update = "UPDATE {table} SET details = %s, duration_ms = %s WHERE id = %s"
    _in_chunks(connection, event, events, ("text",), update, lambda row: parts(*row))


def _in_chunks(connection, event, events, columns, update, made):
    statement = update.format(table=connection.ops.quote_name(event._meta.db_table))
    last = 0
    while rows := list(events.filter(pk__gt=last).values_list("pk", *columns)[:CHUNK]):
        with connection.cursor() as cursor:
            cursor.executemany(statement, [(*made(row[1:]), row[0]) for row in rows])
        last = rows[-1][0]


def text(trace_id, event, timestamp, details, status, sequence, tool_name, duration_ms):
    time = timestamp.astimezone(UTC) if settings.USE_TZ else timestamp.replace(tzinfo=UTC)
    tool = "" if tool_name is None else f',"tool_name":{orjson.dumps(tool_name).decode()}'
    duration = "" if duration_ms is None else f',"duration_ms":{duration_ms!r}'
    return (
        f'{{"event":"{event}","trace_id":"{trace_id}","timestamp":"{time.isoformat("T", "microseconds")}",'
        f'"details":{details},"status":"{status}","sequence":{sequence}{tool}{duration}}}'
    )


def parts(text):
    details = text[text.index('"details":') + 10 : text.rindex(',"status":"')]
    return details, orjson.loads(text).get("duration_ms")


class Migration(migrations.Migration):
    dependencies = [("trace_streaming", "0014_notifications")]

    operations = [
        migrations.AddField(
            model_name="event",
            name="text",
            field=models.TextField(
                default="",
                help_text="The JSON object that watchers are sent, byte for byte: a JSON column would reorder its keys.",
                verbose_name="text",
            ),
            preserve_default=False,
        ),
        migrations.RunPython(put_together, take_apart),
    ]
