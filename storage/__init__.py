"""The SQLite file: records, migrations, queries. No torch, no gradio."""
