#!/usr/bin/env python3
"""Embeds Sources/NexaGateway/OpenAPI/openapi.json in the node as a Swift string. With --check: fails when that was not done."""
import json
import sys
from pathlib import Path

folder = Path(__file__).resolve().parents[2] / "Sources/NexaGateway/OpenAPI"
document = json.loads((folder / "openapi.json").read_text())
text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
# Lines of a bearable length; JSON may be broken behind any comma that is not in a string, and indented.
lines, depth, quoted, escaped, line = [], 0, False, False, ""
for character in text:
    line += character
    if quoted:
        escaped, quoted = character == "\\" and not escaped, character != '"' or escaped
    elif character == '"':
        quoted = True
    elif character == "," and len(line) > 100:
        lines.append(line)
        line = ""
lines.append(line)
body = "\n".join("        " + each for each in lines)
swift = f'''// Made from openapi.json by Tests/scripts/openapi.py: change that file.
// swift-format-ignore-file

enum OpenAPIDocument {{
    static let text = ##"""
{body}
        """##
}}
'''
target = folder / "OpenAPIDocument.swift"
if "--check" in sys.argv:
    if target.read_text() != swift:
        sys.exit("OpenAPIDocument.swift is not made from openapi.json: run Tests/scripts/openapi.py")
else:
    target.write_text(swift)
