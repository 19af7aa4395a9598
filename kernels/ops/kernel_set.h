// KernelSet: every op's kernel lists for one device. A new op adds one member.
#pragma once
#include "graft/kernels/ops/batch_norm.h"
#include "graft/kernels/ops/binary.h"
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/ops/ctc.h"
#include "graft/kernels/ops/dropout.h"
#include "graft/kernels/ops/fused_conv.h"
#include "graft/kernels/ops/image_input.h"
#include "graft/kernels/ops/indexing.h"
#include "graft/kernels/ops/linear.h"
#include "graft/kernels/ops/loss.h"
#include "graft/kernels/ops/matmul.h"
#include "graft/kernels/ops/normalize.h"
#include "graft/kernels/ops/optimizer.h"
#include "graft/kernels/ops/ordering.h"
#include "graft/kernels/ops/pool.h"
#include "graft/kernels/ops/quantized_conv.h"
#include "graft/kernels/ops/reduce.h"
#include "graft/kernels/ops/resample.h"
#include "graft/kernels/ops/sample.h"
#include "graft/kernels/ops/select.h"
#include "graft/kernels/ops/shape_change.h"
#include "graft/kernels/ops/softmax.h"
#include "graft/kernels/ops/take.h"
#include "graft/kernels/ops/unary.h"

namespace graft {

struct KernelSet {
  ops::ConvKernels conv;
  ops::FusedConvKernels fused_conv;
  ops::QuantizedConvKernels quantized_conv;
  ops::BatchNormKernels batch_norm;
  ops::LinearKernels linear;
  ops::PoolKernels pool;
  ops::UnaryKernels unary;
  ops::BinaryKernels binary;
  ops::ShapeChangeKernels shape_change;
  ops::SoftmaxKernels softmax;
  ops::LossKernels loss;
  ops::ReduceKernels reduce;
  ops::DropoutKernels dropout;
  ops::SelectKernels select;
  ops::TakeKernels take;
  ops::IndexingKernels indexing;
  ops::MatmulKernels matmul;
  ops::OptimizerKernels optimizer;
  ops::OrderingKernels ordering;
  ops::NormalizeKernels normalize;
  ops::ResampleKernels resample;
  ops::SampleKernels sample;
  ops::ImageInputKernels image_input;
  ops::CtcKernels ctc;
};

}  // namespace graft
