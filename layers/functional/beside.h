// beside(): numbers that a function or its caller made on the host, where the values are that they
// meet.
#pragma once
#include <cmath>
#include <initializer_list>

#include "graft/core/autograd/grad_meta.h"
#include "graft/core/tensor/device_backend.h"

namespace graft::functional {

// Where values meet: the device of the first that is not on the host, else the host.
inline Device meeting_place(std::initializer_list<Tensor> tensors) {
  for (const Tensor& t : tensors)
    if (t.defined() && !is_cpu(t.device())) return t.device();
  return {};
}

// The same handle when it is there (or undefined). One number is filled in on the device, which a
// captured graph can repeat; more are copied. bad_input for a tensor of another device, and for one
// whose gradient is wanted: it has to lie there itself.
inline Tensor beside(const char* op, const Tensor& t, Device device) {
  if (!t.defined() || t.device() == device) return t;
  GRAFT_CHECK(is_cpu(t.device()) && !needs_grad(t), op, ": operands on ", t.device(), " and ",
              device);
  const bool exact =
      t.numel() == 1 && (is_floating(t.dtype()) || std::abs(t.item()) < 0x1p53);  // as a double
  if (exact)
    return Tensor::full(t.shape(), t.item(),
                        {.dtype = t.dtype(), .format = t.format(), .device = device});
  return to_device(t, device);
}

}  // namespace graft::functional
