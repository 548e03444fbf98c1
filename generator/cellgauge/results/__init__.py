"""Result files: what one holds, and how they are written and read."""
