"""Exchange with other tools: lmms-eval's model plugin and sample logs, cards for the Hub."""
