"""Import this before nbformat: it spares every start of a process two seconds. It does nothing else.

nbformat brings jsonschema, which builds a grammar of internationalised web addresses if it finds the package for it;
no notebook is checked for such addresses.
"""

import sys

sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
