"""What an account does by itself: readers of its log, run by the one worker (architecture.md, decision 5)."""
