#include "graft/kernels/cuda/cudnn/conv_operations.h"

namespace graft::cudnn {
namespace {

using api::Kind;
using api::Name;

api::DataType data_type(DType type) {
  return type == DType::f32    ? api::DataType::f32
         : type == DType::bf16 ? api::DataType::bf16
                               : api::DataType::f16;
}

// Makes the parts of one graph.
class Builder {
 public:
  Builder(const api::Library& library, const ConvGraph& graph) : library_(library), graph_(graph) {
    parts_.reserve(32);
  }

  OperationGraph build() {
    switch (graph_.pass) {
      case ConvPass::forward: forward(); break;
      case ConvPass::backward_data: backward_data(); break;
      case ConvPass::backward_weight: backward_weight(); break;
    }
    Descriptor graph(library_, Kind::graph);
    graph.set_descriptors(Name::graph_operations, operations_).finalize();
    return {std::move(parts_), std::move(graph)};
  }

 private:
  using Extents = std::array<int64_t, 4>;  // N C H W, K C R S

  Descriptor& part(Kind kind) { return parts_.emplace_back(library_, kind); }

  // `inner`: a value between two operations, which is never stored and stays in float32.
  const Descriptor& tensor(int64_t id, const Extents& e, DType type, bool inner = false) {
    const Extents strides{e[1] * e[2] * e[3], 1, e[1] * e[3], e[1]};  // channels_last
    Descriptor& made = part(Kind::tensor);
    made.set(Name::tensor_id, id)
        .set(Name::tensor_type, data_type(type))
        .set(Name::tensor_alignment, int64_t{16});
    made.set<int64_t>(Name::tensor_extents, e).set<int64_t>(Name::tensor_strides, strides);
    if (inner) made.set(Name::tensor_virtual, true);
    return made.finalize();
  }
  const Descriptor& inner(const Extents& extents) {
    return tensor(next_inner_++, extents, DType::f32, true);
  }
  const Descriptor& image() {
    return tensor(id_of(Operand::image), {graph_.n, graph_.c, graph_.h, graph_.w}, graph_.type);
  }
  const Descriptor& result() {
    return tensor(id_of(Operand::result), result_extents(), graph_.type);
  }
  Extents result_extents() const { return {graph_.n, graph_.k, graph_.p, graph_.q}; }
  Extents weight_extents() const {
    return {graph_.k, graph_.c / graph_.groups, graph_.r, graph_.s};
  }
  const Descriptor& weight(DType type) {
    return tensor(id_of(Operand::weight), weight_extents(), type);
  }

  const Descriptor& convolution() {
    return part(Kind::convolution)
        .set(Name::convolution_type, api::DataType::f32)
        .set(Name::convolution_mode, api::ConvolutionMode::cross_correlation)
        .set(Name::convolution_axes, int64_t{2})
        .set<int64_t>(Name::convolution_dilations, graph_.dilation)
        .set<int64_t>(Name::convolution_strides, graph_.stride)
        .set<int64_t>(Name::convolution_pre_paddings, graph_.pad_begin)
        .set<int64_t>(Name::convolution_post_paddings, graph_.pad_end)
        .finalize();
  }
  Descriptor& operation(Kind kind) {
    Descriptor& made = part(kind);
    operations_.push_back(made.id());
    return made;
  }

  // y = mode(x) or mode(x, other), in float32.
  void pointwise(api::PointwiseMode mode, const Descriptor& x, const Descriptor* other,
                 const Descriptor& y) {
    Descriptor& how = part(Kind::pointwise)
                          .set(Name::pointwise_mode, mode)
                          .set(Name::pointwise_precision, api::DataType::f32);
    if (mode == api::PointwiseMode::relu && graph_.activation == Activation::relu6)
      how.set(Name::pointwise_upper_clip, 6.);
    how.finalize();
    Descriptor& made = operation(Kind::operation_pointwise);
    made.set(Name::operation_pointwise, how)
        .set(Name::operation_pointwise_x, x)
        .set(Name::operation_pointwise_y, y);
    if (other) made.set(Name::operation_pointwise_b, *other);
    made.finalize();
  }

  void forward() {
    int left = int{graph_.bias} + int{graph_.residual} +
               int{graph_.activation != Activation::none};  // operations behind the convolution
    const auto next = [&]() -> const Descriptor& {
      return left == 0 ? result() : inner(result_extents());
    };
    const Descriptor *x = &image(), *w = &weight(graph_.type), *y = &next(), *how = &convolution();
    operation(Kind::convolution_forward)
        .set(Name::forward_convolution, *how)
        .set(Name::forward_x, *x)
        .set(Name::forward_w, *w)
        .set(Name::forward_y, *y)
        .set(Name::forward_alpha, 1.f)
        .set(Name::forward_beta, 0.f)
        .finalize();
    const auto follow = [&](api::PointwiseMode mode, const Descriptor* other) {
      --left;
      const Descriptor& made = next();
      pointwise(mode, *y, other, made);
      y = &made;
    };
    if (graph_.bias)
      follow(api::PointwiseMode::add,
             &tensor(id_of(Operand::bias), {1, graph_.k, 1, 1}, DType::f32));
    if (graph_.residual)
      follow(api::PointwiseMode::add,
             &tensor(id_of(Operand::residual), result_extents(), graph_.type));
    if (graph_.activation != Activation::none) follow(api::PointwiseMode::relu, nullptr);
  }

  void backward_data() {
    const Descriptor *dx = &image(), *w = &weight(graph_.type), *dy = &result(),
                     *how = &convolution();
    operation(Kind::convolution_backward_data)
        .set(Name::data_convolution, *how)
        .set(Name::data_dx, *dx)
        .set(Name::data_w, *w)
        .set(Name::data_dy, *dy)
        .set(Name::data_alpha, 1.f)
        .set(Name::data_beta, 0.f)
        .finalize();
  }

  // cuDNN's engines store a gradient in the images' type; another one is a conversion behind it.
  void backward_weight() {
    const bool convert = graph_.gradient != graph_.type;
    const Descriptor *x = &image(), *dy = &result(), *how = &convolution();
    const Descriptor* dw = convert ? &inner(weight_extents()) : &weight(graph_.type);
    operation(Kind::convolution_backward_weight)
        .set(Name::weight_convolution, *how)
        .set(Name::weight_x, *x)
        .set(Name::weight_dw, *dw)
        .set(Name::weight_dy, *dy)
        .set(Name::weight_alpha, 1.f)
        .set(Name::weight_beta, 0.f)
        .finalize();
    if (convert) pointwise(api::PointwiseMode::identity, *dw, nullptr, weight(graph_.gradient));
  }

  const api::Library& library_;
  const ConvGraph& graph_;
  std::vector<Descriptor> parts_;  // reserved: references stay
  std::vector<api::Descriptor> operations_;
  int64_t next_inner_ = 100;
};

}  // namespace

OperationGraph describe(const api::Library& library, const ConvGraph& graph) {
  return Builder(library, graph).build();
}

}  // namespace graft::cudnn
