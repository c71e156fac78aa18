"""Everything that knows about models. Never imports gradio."""
