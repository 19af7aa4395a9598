#include "graft/train/loader.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>

#include "graft/core/base/fork.h"
#include "graft/core/base/one_at_a_time.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/runtime/start_thread.h"
#include "graft/core/runtime/stop.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/kernels/ops/image_input.h"
#include "graft/kernels/registry.h"
#include "graft/train/inputs/table.h"

namespace graft::train {
namespace {

// A batch as it was made: x on the host, or for a device the pixels of images that it is to be made
// of.
struct MadeBatch {
  Batch batch;
  Tensor pixels;  // u8 [N,H,W,C]
  Tensor places;  // i32 [N, ops::kImagePlace]
};

// Where a batch that a worker makes is waited for: nothing is allocated to hand it over.
struct Slot {
  bool done = false;
  MadeBatch made;
  std::exception_ptr error;
};

// Queued on the device, where x is then.
Batch sent(MadeBatch made, const io::Preprocess& preprocess, Device device) {
  if (!made.pixels.defined()) {
    made.batch.x = to_device(made.batch.x, device);
    return std::move(made.batch);
  }
  ops::ImageInputAttributes attributes{.scale = preprocess.scale, .bgr = preprocess.bgr};
  std::copy(preprocess.mean.begin(), preprocess.mean.end(), attributes.mean.begin());
  std::copy(preprocess.deviation.begin(), preprocess.deviation.end(), attributes.deviation.begin());
  const Tensor pixels = to_device(made.pixels, device), places = to_device(made.places, device);
  made.batch.x = Tensor::empty(
      {pixels.size(0), preprocess.channels, preprocess.size, preprocess.input_width()},
      {.format = MemoryFormat::channels_last, .device = device});
  kernels_for<ops::ImageInputKernels>(device).forward(current_context(),
                                                      {pixels, &places, attributes, made.batch.x});
  return std::move(made.batch);
}

}  // namespace

struct BatchLoader::Impl {
  std::shared_ptr<const io::Dataset> dataset;
  io::Preprocess preprocess;
  LoaderOptions options;
  std::shared_ptr<const Input> input;
  OneAtATime use;
  std::vector<int64_t> order;
  int64_t epoch = 0, first = 0;
  int64_t next_batch = 0;    // the next one to hand out
  std::vector<Tensor> kept;  // samples but for the last step, u8; empty when nothing is kept
  std::mutex makers_mutex;
  std::vector<std::unique_ptr<SampleMaker>> makers;  // those that no thread uses now

  // Prefetching: workers take batch numbers in turn and stay fewer than slots.size() in front of
  // next_batch; batch n is in slot n modulo their number.
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::thread> threads;
  std::vector<Slot> slots;
  uint32_t started_in = 0;  // the fork_generation() that the threads belong to
  int64_t next_job = 0;
  bool stop = false;
  bool said_shortage = false;                // once a loader
  const std::atomic<bool>* asked = nullptr;  // the flag of the thread that started the epoch

  int64_t batches() const {
    const int64_t n = dataset->size() - first, full = n / options.batch, rest = n % options.batch;
    return full + (rest == 0 || (rest == 1 && options.drop_single) ? 0 : 1);
  }

  // Hands one sample to `use`, with the maker that is this thread's for the time.
  template <class Use>
  void with_sample(int64_t sample, Use&& use) {
    std::unique_ptr<SampleMaker> maker;
    {
      const std::lock_guard lock(makers_mutex);
      if (!makers.empty()) {
        maker = std::move(makers.back());
        makers.pop_back();
      }
    }
    if (!maker) maker = input->maker(preprocess, options.augment);
    {
      const io::ScopedDecode turn(options.gate.get(), *dataset, sample);
      use(*maker, kept_of(*maker, sample));
      if (options.gate) maker->let_go();
    }
    const std::lock_guard lock(makers_mutex);
    makers.push_back(std::move(maker));
  }

  SampleViews seen() const {
    return {preprocess, options.augment, options.seed, options.views, epoch};
  }

  SampleMaker::Kept kept_of(SampleMaker& maker, int64_t sample) {
    if (options.augment.any()) {
      std::optional<CountedRandom> random = seen().random_of(sample);
      return maker.make(*dataset, sample, random ? &*random : nullptr);
    }
    if (kept.empty()) return maker.make(*dataset, sample, nullptr);
    Tensor& slot = kept[static_cast<size_t>(sample)];  // one thread a sample within an epoch
    if (!slot.defined()) {
      Tensor made = Tensor::empty({input->kept_bytes(preprocess)}, {.dtype = DType::u8});
      std::memcpy(made.mutable_raw(), maker.make(*dataset, sample, nullptr).data,
                  static_cast<size_t>(made.bytes()));
      slot = made;
    }
    return {slot.data<uint8_t>(), false};
  }

  MadeBatch make(int64_t number, bool parallel, const std::atomic<bool>* stop_flag) {
    MadeBatch made;
    Batch& batch = made.batch;
    const int64_t begin = number * options.batch,
                  count = std::min(options.batch, std::ssize(order) - begin);
    batch.samples.assign(order.begin() + begin, order.begin() + begin + count);
    const int64_t values = preprocess.pixels() * preprocess.channels;
    batch.targets = targets_of(options.task.get(), *dataset, batch.samples, seen());
    float* x = nullptr;
    uint8_t* pixels = nullptr;
    int32_t* places = nullptr;
    if (is_cpu(options.device) || !input->keeps_pixels()) {
      batch.x =
          Tensor::empty({count, preprocess.channels, preprocess.size, preprocess.input_width()},
                        {.format = MemoryFormat::channels_last});
      x = batch.x.mutable_data<float>();
    } else {
      made.pixels =
          Tensor::empty({count, preprocess.size, preprocess.input_width(), preprocess.channels},
                        {.dtype = DType::u8});
      made.places = Tensor::zeros({count, ops::kImagePlace}, {.dtype = DType::i32});
      pixels = made.pixels.mutable_data<uint8_t>();
      places = made.places.mutable_data<int32_t>();
    }
    const auto fill = [&](int64_t i) {
      check_stop(stop_flag);
      const int64_t sample = batch.samples[static_cast<size_t>(i)];
      with_sample(sample, [&](SampleMaker& maker, const SampleMaker::Kept& given) {
        if (x) return maker.finish(given, x + i * values);
        std::memcpy(pixels + i * values, given.data, static_cast<size_t>(values));
        places[i * ops::kImagePlace + ops::mirrored] = given.mirrored;
      });
    };
    if (parallel) {
      current_context().parallel_for(count, fill);
    } else {
      for (int64_t i = 0; i < count; ++i) fill(i);
    }
    return made;
  }

  void work() {
    const int64_t total = batches(), ahead = std::ssize(slots);
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock,
                   [&] { return stop || next_job >= total || next_job < next_batch + ahead; });
      if (stop || next_job >= total) return;
      const int64_t mine = next_job++;
      lock.unlock();
      MadeBatch batch;
      std::exception_ptr error;
      try {
        batch = make(mine, false, asked);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      slot_of(mine) = {true, std::move(batch), std::move(error)};
      changed.notify_all();
    }
  }

  Slot& slot_of(int64_t number) { return slots[static_cast<size_t>(number % std::ssize(slots))]; }
  bool lost_its_threads() const { return !threads.empty() && started_in != fork_generation(); }

  void join() {
    {
      std::lock_guard lock(mutex);
      stop = true;
    }
    changed.notify_all();
    for (std::thread& thread : threads) thread.join();
    threads.clear();
    slots.clear();
    stop = false;
    next_job = 0;
  }
};

BatchLoader::BatchLoader(std::shared_ptr<const io::Dataset> dataset, io::Preprocess preprocess,
                         LoaderOptions options)
    : impl_(std::make_unique<Impl>()) {
  GRAFT_CHECK(dataset && dataset->size() > 0, "the data set has no samples");
  GRAFT_CHECK(options.batch >= 1 && options.workers >= 0 && options.workers <= 256,
              "loader: batch ", options.batch, ", ", options.workers, " workers");
  preprocess.validate();
  impl_->input = options.input ? options.input : input_of(preprocess);
  const int64_t bytes = checked_mul(dataset->size(), impl_->input->kept_bytes(preprocess));
  if (!options.augment.any() && bytes <= options.cache_bytes)
    impl_->kept.resize(static_cast<size_t>(dataset->size()));
  impl_->dataset = std::move(dataset);
  impl_->preprocess = std::move(preprocess);
  impl_->options = std::move(options);
}

// In a forked child there are no threads to join, and they may have held the locks.
BatchLoader::~BatchLoader() {
  if (impl_->lost_its_threads())
    static_cast<void>(impl_.release());
  else
    impl_->join();
}

int64_t BatchLoader::samples() const { return impl_->dataset->size(); }
int64_t BatchLoader::batches() const { return impl_->batches(); }

Targets BatchLoader::all_targets() const {
  std::vector<int64_t> all(static_cast<size_t>(samples()));
  std::iota(all.begin(), all.end(), int64_t{0});
  return targets_of(impl_->options.task.get(), *impl_->dataset, all,
                    SampleViews{.preprocess = impl_->preprocess});
}

void BatchLoader::start(int64_t epoch, int64_t first) {
  const OneAtATime::Use use(impl_->use, "BatchLoader::start");
  check_not_forked();
  impl_->join();
  GRAFT_CHECK(first >= 0 && first <= samples(), "loader: sample ", first, " of ", samples());
  impl_->epoch = epoch;
  impl_->first = first;
  impl_->next_batch = 0;
  if (impl_->options.shuffle) {
    CountedRandom random(impl_->options.seed, RandomPurpose::shuffle, static_cast<uint64_t>(epoch));
    impl_->order = random_permutation(samples(), random);
  } else {
    impl_->order.resize(static_cast<size_t>(samples()));
    std::iota(impl_->order.begin(), impl_->order.end(), int64_t{0});
  }
  impl_->order.erase(impl_->order.begin(), impl_->order.begin() + first);
  impl_->started_in = fork_generation();
  impl_->asked = current_stop();
  start_workers();
}

// As many as can be started; without any, batches are made on the compute threads.
void BatchLoader::start_workers() {
  const int wanted = impl_->options.workers;
  if (wanted == 0) return;
  impl_->slots.resize(static_cast<size_t>(2 * wanted + 2));
  impl_->threads.reserve(static_cast<size_t>(wanted));
  for (int i = 0; i < wanted; ++i)
    if (!start_thread(impl_->threads, [impl = impl_.get()] { impl->work(); })) break;
  const int started = static_cast<int>(impl_->threads.size());
  if (started < wanted && !std::exchange(impl_->said_shortage, true))
    report_thread_shortage("loader", wanted, started);
}

void BatchLoader::check_not_forked() const {
  if (impl_->lost_its_threads())
    fail(ErrorCode::usage,
         "BatchLoader: its worker threads stayed in the process that was forked; make a loader of "
         "the child's own");
}

bool BatchLoader::next(Batch& batch) {
  Impl& impl = *impl_;
  const OneAtATime::Use use(impl.use, "BatchLoader::next");
  check_not_forked();
  if (impl.next_batch >= impl.batches()) return false;
  if (impl.threads.empty()) {
    batch = sent(impl.make(impl.next_batch, true, current_stop()), impl.preprocess,
                 impl.options.device);
    ++impl.next_batch;  // not past a batch that failed
    return true;
  }
  std::unique_lock lock(impl.mutex);
  Slot& slot = impl.slot_of(impl.next_batch);
  impl.changed.wait(lock, [&] { return slot.done; });
  if (slot.error) std::rethrow_exception(slot.error);
  MadeBatch made = std::exchange(slot, {}).made;
  ++impl.next_batch;
  impl.changed.notify_all();
  lock.unlock();
  batch = sent(std::move(made), impl.preprocess, impl.options.device);
  return true;
}

}  // namespace graft::train
