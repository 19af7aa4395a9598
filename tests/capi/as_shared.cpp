// Nothing of its own: a shared library of a static libgraft, for ctypes (cmake/GraftTests.cmake).
