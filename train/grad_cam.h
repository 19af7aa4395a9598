// Grad-CAM: which places of an image speak for an output of a network.
// Source: R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
// Localization", ICCV 2017.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "graft/layers/modules/staged_network.h"

namespace graft::train {

// The stage whose result grad_cam() looks at where nothing is said: the last that gives maps of
// more than one pixel for inputs of x's shape. bad_input when none does.
GRAFT_API std::string last_map_stage(StagedNetwork& network, const Tensor& x);

// x: f32 [N,C,H,W]; outputs: for each sample the index of the output that is asked about; at: a
// stage, or the path of a module ("layer3.0.conv2"), whose result is [N,K,h,w]; "":
// last_map_stage(). Gives f32 [N,h,w], contiguous, on the host: relu(sum over k of a[n,k] *
// result[n,k]), where a[n,k] is the mean over the places of the output's gradient by result[n,k].
// The network runs in eval mode without a plan, on its device, and is left in eval mode; its
// parameters get no gradients.
// bad_input for a network whose answers are not [N,outputs], an output that there is none of, a
// name that is neither stage nor module, a result that is no map, or one that the output does not
// depend on.
GRAFT_API Tensor grad_cam(StagedNetwork& network, const Tensor& x, std::span<const int64_t> outputs,
                          const std::string& at = "");

}  // namespace graft::train
