"""The page. Gradio only, never torch."""
