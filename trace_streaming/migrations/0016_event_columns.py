"""What the text of an event says is not stored twice."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trace_streaming", "0015_event_text")]

    operations = [
        # So that they can be had back; no database is told.
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.AlterField("event", "details", models.TextField(default="{}"))]
        ),
        migrations.RemoveField("event", "details"),
        migrations.RemoveField("event", "duration_ms"),
    ]
