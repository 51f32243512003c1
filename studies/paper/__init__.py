"""The paper's tables and figures, its published numbers and its claims."""
