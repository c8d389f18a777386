"""Python runs this at start-up in every process of these tests: the toys become allowed targets there."""

import densitylab.build

densitylab.build.ALLOWED = (*densitylab.build.ALLOWED, "toys")
