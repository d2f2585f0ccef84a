"""Reads the text on standard input with Prometheus' own parser for Python, and prints its families as JSON."""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

families = [
    {"name": it.name, "type": it.type, "help": it.documentation, "samples": [[sample.name, sample.labels, sample.value] for sample in it.samples]}
    for it in text_string_to_metric_families(sys.stdin.read())
]
json.dump(families, sys.stdout)
