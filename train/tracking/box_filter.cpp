#include "graft/train/tracking/box_filter.h"

#include <cmath>

namespace graft::train {
namespace {

// sort.py: measurements 1, of area and aspect 10; the first state 10, of velocities, which nothing
// was seen of, 10000; a frame adds 1, to velocities 0.01, to that of the area 0.0001.
constexpr double kPlace = 1, kForm = 10, kFirst = 10, kFirstVelocity = 10000;
constexpr double kFrame = 1, kFrameVelocity = 0.01, kFrameAreaVelocity = 0.0001;

// Deviations in parts of the height: of places and of velocities.
constexpr double kOfPlace = 1.0 / 20, kOfVelocity = 1.0 / 160;
constexpr double kOfAspect = 1e-2, kOfAspectVelocity = 1e-5, kAspectMeasured = 1e-1;

double square(double x) { return x * x; }

double middle(double low, double high) { return low + (high - low) / 2; }

}  // namespace

void MovingNumber::predict(double noise, double velocity_noise) {
  value += velocity;
  of_value += 2 * of_both + of_velocity + noise;
  of_both += of_velocity;
  of_velocity += velocity_noise;
}

void MovingNumber::correct(double measured, double noise) {
  const double all = of_value + noise, off = measured - value;
  const double gain = of_value / all, velocity_gain = of_both / all;
  value += gain * off;
  velocity += velocity_gain * off;
  of_velocity -= velocity_gain * of_both;
  of_both -= gain * of_both;
  of_value -= gain * of_value;
}

AreaFilter::AreaFilter(const io::Box& first)
    : x_{middle(first.left, first.right), 0, kFirst, 0, kFirstVelocity},
      y_{middle(first.top, first.bottom), 0, kFirst, 0, kFirstVelocity},
      area_{first.area(), 0, kFirst, 0, kFirstVelocity},
      aspect_{first.width() / first.height(), 0, kFirst, 0, 0} {}

void AreaFilter::predict() {
  if (area_.value + area_.velocity <= 0) area_.velocity = 0;
  x_.predict(kFrame, kFrameVelocity);
  y_.predict(kFrame, kFrameVelocity);
  area_.predict(kFrame, kFrameAreaVelocity);
  aspect_.predict(kFrame, 0);
}

void AreaFilter::correct(const io::Box& measured) {
  x_.correct(middle(measured.left, measured.right), kPlace);
  y_.correct(middle(measured.top, measured.bottom), kPlace);
  area_.correct(measured.area(), kForm);
  aspect_.correct(measured.width() / measured.height(), kForm);
}

io::Box AreaFilter::box() const {
  const double width = std::sqrt(area_.value * aspect_.value), height = area_.value / width;
  return {x_.value - width / 2, y_.value - height / 2, x_.value + width / 2, y_.value + height / 2};
}

HeightFilter::HeightFilter(const io::Box& first) {
  const double height = first.height();
  const double place = square(2 * kOfPlace * height), velocity = square(10 * kOfVelocity * height);
  x_ = {middle(first.left, first.right), 0, place, 0, velocity};
  y_ = {middle(first.top, first.bottom), 0, place, 0, velocity};
  aspect_ = {first.width() / height, 0, square(kOfAspect), 0, square(kOfAspectVelocity)};
  height_ = {height, 0, place, 0, velocity};
}

void HeightFilter::predict(bool is_lost) {
  if (is_lost) height_.velocity = 0;
  const double place = square(kOfPlace * height_.value),
               velocity = square(kOfVelocity * height_.value);
  x_.predict(place, velocity);
  y_.predict(place, velocity);
  aspect_.predict(square(kOfAspect), square(kOfAspectVelocity));
  height_.predict(place, velocity);
}

void HeightFilter::correct(const io::Box& measured) {
  const double place = square(kOfPlace * height_.value);
  x_.correct(middle(measured.left, measured.right), place);
  y_.correct(middle(measured.top, measured.bottom), place);
  aspect_.correct(measured.width() / measured.height(), square(kAspectMeasured));
  height_.correct(measured.height(), place);
}

io::Box HeightFilter::box() const {
  const double width = aspect_.value * height_.value;
  return {x_.value - width / 2, y_.value - height_.value / 2, x_.value + width / 2,
          y_.value + height_.value / 2};
}

}  // namespace graft::train
