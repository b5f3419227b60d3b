import inspect

import device_sim
from device_sim import errors


def test_the_index_is_sorted_and_complete() -> None:
    assert device_sim.__all__ == sorted(device_sim.__all__)
    named = {
        name
        for name, one in vars(errors).items()
        if inspect.isclass(one) and issubclass(one, errors.DeviceError)
    }
    assert named <= set(device_sim.__all__)
    assert all(hasattr(device_sim, name) for name in device_sim.__all__)
