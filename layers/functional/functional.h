// The differentiable functions, all of them, for programs. Files of graft include the header of
// each function that they use. Each checks its arguments, runs a kernel and records a Node;
// function and Node stand in one file of this folder. Shapes are NCHW whatever the layout; results
// have the layout of their first input. Every function throws Error(bad_input) naming the op and
// the shapes when the arguments do not fit.
#pragma once
#include "graft/layers/functional/attention.h"
#include "graft/layers/functional/batch_norm.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/conv.h"
#include "graft/layers/functional/ctc.h"
#include "graft/layers/functional/dropout.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/image.h"
#include "graft/layers/functional/indexing.h"
#include "graft/layers/functional/label_loss.h"
#include "graft/layers/functional/linear.h"
#include "graft/layers/functional/loss.h"
#include "graft/layers/functional/matrices.h"
#include "graft/layers/functional/movement.h"
#include "graft/layers/functional/normalization.h"
#include "graft/layers/functional/operators.h"
#include "graft/layers/functional/pool.h"
#include "graft/layers/functional/reduce.h"
#include "graft/layers/functional/reduction.h"
#include "graft/layers/functional/shape_change.h"
#include "graft/layers/functional/softmax.h"
#include "graft/layers/functional/unary.h"
