"""MySQL and MariaDB tell texts apart as every other database does, and hold an event's id once."""

from django.db import migrations, models


def be_exact(apps, schema_editor):
    """By default they take ``Trace-1`` for ``trace-1``: ids of two traces, two tools, two models."""
    if schema_editor.connection.vendor == "mysql":
        for model in apps.get_app_config("trace_streaming").get_models():
            _be_exact(model, schema_editor)


def _be_exact(model, schema_editor):
    connection, quote = schema_editor.connection, schema_editor.quote_name
    # No padding: otherwise a space at the end does not count.
    texts = f"CHARACTER SET utf8mb4 COLLATE {'utf8mb4_nopad_bin' if connection.mysql_is_mariadb else 'utf8mb4_0900_bin'}"
    changes = [f"DEFAULT {texts}"]  # for columns to come
    for field in model._meta.local_concrete_fields:
        if isinstance(field, models.JSONField):
            if not connection.mysql_is_mariadb:
                continue  # it has a type of its own
            kind = "longtext"  # without its check, which knows no more than 32 levels
        elif isinstance(field, (models.CharField, models.TextField)):
            kind = field.db_type(connection)
        else:
            continue
        changes.append(f"MODIFY {quote(field.column)} {kind} {texts} {'NULL' if field.null else 'NOT NULL'}")
    schema_editor.execute(f"ALTER TABLE {quote(model._meta.db_table)} {', '.join(changes)}")


def name_events_once(apps, schema_editor):
    """They have no partial indexes, so Django makes none; in theirs, rows without an id are not the same."""
    if schema_editor.connection.vendor == "mysql":
        schema_editor.execute(
            "CREATE UNIQUE INDEX trace_streaming_event_id ON trace_streaming_event (trace_id, event_id)"
        )


def name_events_at_will(apps, schema_editor):
    if schema_editor.connection.vendor == "mysql":
        schema_editor.execute("DROP INDEX trace_streaming_event_id ON trace_streaming_event")


class Migration(migrations.Migration):
    dependencies = [("trace_streaming", "0017_left_out_spans")]

    operations = [
        # In no transaction of its own: there, tables are not changed in one.
        migrations.RunPython(be_exact, migrations.RunPython.noop, atomic=False),
        migrations.RunPython(name_events_once, name_events_at_will, atomic=False),
    ]
