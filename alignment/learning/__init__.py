"""The algorithms that train: instruction tuning, reward model, PPO, RAFT, DPO. Only runs and recipes use them."""
