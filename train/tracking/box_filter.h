// Kalman filters of boxes that move at a constant velocity: SORT's and ByteTrack's.
#pragma once
#include "graft/io/datasets/boxes.h"

namespace graft::train {

// One number of a box and its velocity a frame, with their covariances. The matrices of both papers
// fall into one such filter for each number.
struct GRAFT_API MovingNumber {
  double value = 0, velocity = 0;
  double of_value = 0, of_both = 0, of_velocity = 0;  // covariances

  void predict(double noise, double velocity_noise);  // variances that a frame adds
  void correct(double measured, double noise);        // noise: the measurement's variance
};

// Bewley et al., Simple Online and Realtime Tracking (2016): middle, area and aspect (width over
// height), which does not change by itself. Noise as in the authors' sort.py.
class GRAFT_API AreaFilter {
 public:
  explicit AreaFilter(const io::Box& first);
  void predict();
  void correct(const io::Box& measured);
  io::Box box() const;  // not finite where the area has become negative

 private:
  MovingNumber x_{}, y_{}, area_{}, aspect_{};
};

// Zhang et al., ByteTrack (2022), as in Wojke et al., Deep SORT (2017): middle, aspect and height,
// with noise in parts of the height.
class GRAFT_API HeightFilter {
 public:
  explicit HeightFilter(const io::Box& first);
  // is_lost: not found in the frame before; then the height stays as it is.
  void predict(bool is_lost);
  void correct(const io::Box& measured);
  io::Box box() const;

 private:
  MovingNumber x_{}, y_{}, aspect_{}, height_{};
};

}  // namespace graft::train
