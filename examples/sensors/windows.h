// The user's own samples: windows of three sensors of a moving person, made up by a seed.
#pragma once
#include <cmath>
#include <vector>

#include "graft/graft.hpp"
#include "graft/train/training_step.h"

struct SensorWindow {
  float values[3][64];
  int64_t movement;
};

// People move at their own speed and strength, and wear the sensors with an offset.
inline std::vector<SensorWindow> made_up_windows(int person, int of_each_movement) {
  graft::CountedRandom random(17, graft::RandomPurpose::synthetic, 1,
                              static_cast<uint64_t>(person));
  const double speed = random.uniform(0.85, 1.15), strength = random.uniform(0.6, 1.4),
               offset = random.normal();
  std::vector<SensorWindow> all;
  for (int64_t i = 0; i < 3 * of_each_movement; ++i) {
    SensorWindow window{{}, i % 3};
    const double turns = (2 + 1.5 * static_cast<double>(window.movement)) * speed / 10,
                 phase = random.uniform(0, 6.28);
    for (int axis = 0; axis < 3; ++axis)
      for (int t = 0; t < 64; ++t)
        window.values[axis][t] = static_cast<float>(
            offset * axis + strength * std::sin(turns * t + phase + axis) + random.normal());
    all.push_back(window);
  }
  return all;
}

// Those of people [first, end) as tensors.
inline graft::train::Batch windows_of(int first, int end, int of_each_movement) {
  std::vector<float> values;
  std::vector<int64_t> movements;
  for (int person = first; person < end; ++person)
    for (const SensorWindow& window : made_up_windows(person, of_each_movement)) {
      values.insert(values.end(), &window.values[0][0], &window.values[0][0] + 3 * 64);
      movements.push_back(window.movement);
    }
  const int64_t count = std::ssize(movements);
  return {graft::Tensor::of({count, 3, 64}, values), graft::Tensor::of({count}, movements), {}};
}

// What a task is made for: three classes.
inline graft::io::OpenedData movements() {
  graft::io::OpenedData data;
  data.classes = {"walk", "run", "jump"};
  return data;
}

inline std::shared_ptr<graft::Conv1d> make_conv(int64_t channels, int64_t kernel) {
  return std::make_shared<graft::Conv1d>(graft::Conv1dOptions{
      .in_channels = channels, .out_channels = 8, .kernel = kernel, .bias = true});
}
