"""What the app does, as plain functions over one record, without Gradio or torch."""
