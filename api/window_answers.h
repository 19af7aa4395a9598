// Answers to an image of any size from a network that sees windows of it.
#pragma once
#include <functional>

#include "graft/io/images/image.h"
#include "graft/io/preprocess.h"

namespace graft {

// Probabilities f32 [1,maps,H,W] of a photo of HxW, of which the network sees the windows that
// cover it (io/datasets/windows.h). `answers`: to windows, f32 [n,C,h,w] -> [n,maps,h,w] on the
// host. Where windows overlap, each counts the more the farther a pixel is from its edge.
Tensor answers_in_windows(const io::Image& photo, const io::Preprocess& preprocess,
                          const std::function<Tensor(const Tensor& windows)>& answers);

}  // namespace graft
