"""What vcmetrics raises and warns with."""


class DataError(ValueError):
    """The data given are at fault; the message is one line that says what, where and the way out."""


class UnsuitedError(DataError):
    """The data are sound and hold nothing that one metric could score; among a rule set's others it is undefined."""


class DeviceError(RuntimeError):
    """A GPU was asked for and cannot be used; the message says why."""


class VcmetricsWarning(UserWarning):
    """Something was done that the caller may want to know: a large copy, a metric left out."""
