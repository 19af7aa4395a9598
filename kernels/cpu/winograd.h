// Winograd's F(4x4, 3x3): a 3x3 convolution of stride 1 with 36 multiplications for 16 outputs in
// place of 144. Forward and backward-data run on it where it pays. float only.
//
// Error: with inputs and weights of order one the result differs from the exact one by at most 4e-5
// of the largest result (the direct kernels: 1e-5); tests/kernels/winograd_test.cpp holds it to
// that. GRAFT_WINOGRAD=off turns it off.
#pragma once
#include "graft/kernels/cpu/conv_problem.h"

namespace graft::cpu {

// Why the direct kernels are to be preferred, or null. Looks at the image and the channels, never
// at the batch: a sample's bits must not depend on the others.
const char* winograd_declines(const ConvShape& shape, DType dtype);

// Brings the nine taps (and the source's offsets with them) into the order of rows and columns.
void sort_taps(IndirectConv<float>& problem, PackSource<float>& source);

// Transformed weights: elements, and the packing from a source whose taps are in order.
int64_t winograd_packed_size(const KernelTable<float>& table, const PackSource<float>& source);
void winograd_pack(ExecContext& context, const KernelTable<float>& table,
                   const PackSource<float>& source, float* packed);

// Runs a problem whose taps are in order and whose `packed` comes from winograd_pack.
void winograd_run(ExecContext& context, const KernelTable<float>& table,
                  const IndirectConv<float>& problem);

}  // namespace graft::cpu
