"""Text-only control: a probe on the hidden states of a frozen language model.

manifests --prompts--> texts --lm, states--> hidden states --probe--> answers --record--> table
"""

RECORD = "text_control.json"
"""What a control's folder is known by."""
