#include "graft/models/tensorflow/translation.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "graft/core/base/checked_math.h"

namespace graft::models::tensorflow {
namespace {

constexpr int64_t kMostSizes = 64;

// How many numbers stand in front of the batch's axis; 1 where there is none.
int64_t before_batch(const Dims& dims) {
  int64_t product = 1;
  for (const int64_t extent : dims) {
    if (is_of_batch(extent)) return product;
    product = checked_mul(product, extent);
  }
  return 1;
}

std::map<std::string_view, const KnownOperator*> all_operators() {
  std::map<std::string_view, const KnownOperator*> all;
  for (const OperatorTable table : {convolution_operators(), elementwise_operators(),
                                    reduction_operators(), shape_operators(), movement_operators()})
    for (const KnownOperator& op : table) all[op.name] = &op;
  return all;
}

}  // namespace

bool is_of_batch(int64_t extent) { return extent < 0; }

int64_t product_of(std::span<const int64_t> dims) {
  int64_t product = 1;
  bool of_batch = false;
  for (const int64_t extent : dims) {
    GRAFT_CHECK(extent != kWhatIsLeft, "computes with a size that is still open");
    GRAFT_CHECK(!of_batch || !is_of_batch(extent), "the batch is in a shape twice");
    of_batch = of_batch || is_of_batch(extent);
    product = checked_mul(product, std::abs(extent));
  }
  return of_batch ? -product : product;
}

int64_t per_image(std::span<const int64_t> dims) {
  int64_t product = 1;
  for (const int64_t extent : dims) product = checked_mul(product, std::abs(extent));
  return product;
}

const Item& Translation::at(const std::string& name) const {
  const auto found = items.find(name);
  GRAFT_CHECK(found != items.end(), "nothing gives its input '", name, "'");
  return found->second;
}

void Translation::put(const std::string& name, Item item) {
  charge(static_cast<int64_t>(name.size()) + 256);
  items[name] = std::move(item);
}

std::string Translation::stored(const Item& constant, const Tensor& as, const std::string& layout) {
  const bool is_named = !constant.source.empty() && as.dtype() == DType::f32 && as.numel() > 1;
  charge(as.bytes() + 128);
  if (!is_named) return writer.constant(as);
  std::string& name = stored_[constant.source + '\n' + layout];
  if (!name.empty()) return name;
  name = constant.source;
  for (int number = 1; writer.is_taken(name); ++number) name = str(constant.source, ":", number);
  writer.parameter(name, as);
  return name;
}

const Item& Call::item(size_t i) const {
  GRAFT_CHECK(has_input(i), "has no input ", i);
  return t.at(inputs[i]);
}

Value Call::value(size_t i) const {
  const Item& known = item(i);
  GRAFT_CHECK(known.block.empty(), "stands between SpaceToBatchND and BatchToSpaceND");
  if (known.is_computed()) return known.value;
  GRAFT_CHECK(known.is_constant(), "computes on sizes of the batch in a way that graft does not");
  Value value;
  const bool real = is_floating(known.constant.dtype());
  const Tensor number =
      real || known.constant.dtype() == DType::i64 ? known.constant : known.constant.to(DType::i64);
  value.name = t.stored(known, number, "as it is");
  value.dims.assign(number.shape().begin(), number.shape().end());
  return value;
}

const Tensor& Call::constant(size_t i, const char* what) const {
  const Item& known = item(i);
  GRAFT_CHECK(known.is_constant(), "its ", what,
              " is computed from the image, which graft does not "
              "know here");
  return known.constant;
}

Dims Call::integers(size_t i, const char* what) const {
  const Tensor& tensor = constant(i, what);
  GRAFT_CHECK(tensor.numel() <= kMostSizes && !is_floating(tensor.dtype()), "its ", what,
              " is no short list of whole numbers");
  Dims result;
  for (const double number : tensor.to_doubles()) {
    GRAFT_CHECK(std::abs(number) <= 2147483648.0, "its ", what, " holds ", number);
    result.push_back(static_cast<int64_t>(number));
  }
  return result;
}

Dims Call::sizes(size_t i, const char* what) const {
  if (item(i).sizes) return *item(i).sizes;
  Dims known = integers(i, what);
  for (int64_t& size : known) {
    GRAFT_CHECK(size >= -1, "its ", what, " holds ", size);
    if (size == -1) size = kWhatIsLeft;
  }
  return known;
}

int64_t Call::integer(const char* name, int64_t otherwise) const {
  const auto found = attributes.find(name);
  return found == attributes.end() || found->second.integers.empty() ? otherwise
                                                                     : found->second.integers[0];
}

double Call::real(const char* name, double otherwise) const {
  const auto found = attributes.find(name);
  return found == attributes.end() ? otherwise : found->second.real;
}

std::string Call::text(const char* name, const std::string& otherwise) const {
  const auto found = attributes.find(name);
  return found == attributes.end() ? otherwise : found->second.text;
}

Dims Call::list(const char* name, Dims otherwise) const {
  const auto found = attributes.find(name);
  return found == attributes.end() ? otherwise : found->second.integers;
}

void Call::give(Value result, size_t output) {
  Item item;
  item.value = std::move(result);
  give(std::move(item), output);
}

void Call::give(Item result, size_t output) {
  GRAFT_CHECK(output < outputs.size(), "has no output ", output);
  if (!outputs[output].empty()) t.put(outputs[output], std::move(result));
}

void Call::give_sizes(Dims sizes, size_t output) {
  GRAFT_CHECK(std::ssize(sizes) <= kMostSizes, "makes a list of ", sizes.size(), " sizes");
  Item item;
  if (std::none_of(sizes.begin(), sizes.end(), is_of_batch))
    item.constant = Tensor::of<int64_t>({std::ssize(sizes)}, sizes);
  item.sizes = std::move(sizes);
  give(std::move(item), output);
}

Value Call::node(const char* onnx, const Value& value, Attributes with) const {
  Value result = value;
  result.of_image = false;
  result.name = writer().node(onnx, {value.name}, std::move(with));
  return result;
}

bool Call::is_read_once(size_t input) const {
  const auto found = t.readers.find(inputs.at(input));
  return found != t.readers.end() && found->second == 1;
}

const KnownOperator* find_operator(const std::string& name) {
  static const auto operators = all_operators();
  const auto found = operators.find(name);
  return found == operators.end() ? nullptr : found->second;
}

Dims broadcast(const Dims& a, const Dims& b) {
  const size_t rank = std::max(a.size(), b.size());
  Dims result(rank);
  for (size_t i = 0; i < rank; ++i) {
    const int64_t x = i < rank - a.size() ? 1 : a[i - (rank - a.size())],
                  y = i < rank - b.size() ? 1 : b[i - (rank - b.size())];
    GRAFT_CHECK(x == y || x == 1 || y == 1, "its operands' shapes ", join(a), " and ", join(b),
                " do not meet");
    result[i] = x == 1 ? y : x;
  }
  return result;
}

Value reshaped(Call& call, const Value& value, const Dims& to) {
  GRAFT_CHECK(product_of(value.dims) == product_of(to) && to.size() <= 8, "makes ", join(to),
              " of ", join(value.dims), ", which is none of its shapes");
  if (value.dims == to) return value;
  // Then an image's numbers stay together, and the batch is outermost in its axis.
  GRAFT_CHECK(before_batch(value.dims) == before_batch(to),
              "mixes the images of a batch: it makes ", join(to), " of ", join(value.dims),
              " (below 0: times the batch)");
  Value result = value;
  result.dims = to;
  result.of_image = result.channels_first = false;
  const bool point =
      value.channels_first && value.rank() == 4 && value.dims[1] == 1 && value.dims[2] == 1;
  // [N,1,1,C] and [N,C] are the same numbers in both orders.
  const bool to_point =
      value.rank() == 2 && to.size() == 4 && to[1] == 1 && to[2] == 1 && to[0] == value.dims[0];
  const Value source = point ? value : call.writer().in_order(value);
  if (to.size() == 2 && is_of_batch(to[0]) && to[0] == value.dims[0] && value.rank() > 2) {
    result.name = call.writer().node("Flatten", {source.name}, {keras::integer("axis", 1)});
    return result;
  }
  Dims target = to;
  if (to_point) {
    target = {to[0], to[3], 1, 1};
    result.channels_first = true;
  }
  for (int64_t& extent : target) extent = is_of_batch(extent) ? -1 : extent;
  result.name = call.writer().node("Reshape", {source.name, call.writer().numbers(target)});
  return result;
}

std::string operand_beside(Call& call, const Item& constant, const Value& value) {
  const bool turned = value.channels_first && constant.constant.numel() > 1;
  return call.t.stored(constant, call.writer().meeting(value, constant.constant.to(DType::f32)),
                       turned ? str("channels first of ", value.rank()) : "as it is");
}

}  // namespace graft::models::tensorflow
