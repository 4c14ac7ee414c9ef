"""FastCUT: CUT without its identity part, with flips, and with a weight of the contrast ten times as large in the
preset ``paper``.
"""

from cyclegan_tf.systems.cut.system import System as CUT


class System(CUT):
    """See `cyclegan_tf.systems.cut.system`; FastCUT is that system with other settings."""
