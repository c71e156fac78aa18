"""The tokens that mark turns in the pocket model's text, and the chat template that puts them there."""

USER, ASSISTANT, END, BOS, PAD = "<|user|>", "<|assistant|>", "<|end|>", "<|bos|>", "<|pad|>"

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'user' %}" + USER + "{{ message['content'] }}" + END + "{% endif %}"
    "{% if message['role'] == 'assistant' %}" + ASSISTANT + "{{ message['content'] }}" + END + "{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}" + ASSISTANT + "{% endif %}"
)
