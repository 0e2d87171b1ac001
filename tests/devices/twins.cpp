// Two devices, twin:0 and twin:1, for tests of where tensors are. Their memory is the CPU's and so is their arithmetic, but an operation
// whose tensors are not all on one of them is an error, as with two GPUs. Only what allocates, moves or looks at memory is written
// here; every other operation falls back to the CPU's kernel (at::native::cpu_fallback), behind a check of the devices.
#include <ATen/EmptyTensor.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/view_native.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/alloc_cpu.h>
#include <torch/library.h>

namespace {
constexpr auto KIND = c10::DeviceType::PrivateUse1;
constexpr c10::DeviceIndex COUNT = 2;
thread_local c10::DeviceIndex current = 0;

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return KIND; }
  c10::Device exchangeDevice(c10::Device d) const override { auto old = getDevice(); setDevice(d); return old; }
  c10::Device getDevice() const override { return {KIND, current}; }
  void setDevice(c10::Device d) const override { if (d.has_index()) current = d.index(); }
  void uncheckedSetDevice(c10::Device d) const noexcept override { if (d.has_index()) current = d.index(); }
  c10::Stream getStream(c10::Device d) const override { return c10::Stream(c10::Stream::DEFAULT, d); }
  c10::Stream getDefaultStream(c10::Device d) const override { return getStream(d); }
  c10::Stream exchangeStream(c10::Stream s) const override { return s; }
  c10::DeviceIndex deviceCount() const noexcept override { return COUNT; }
  void synchronizeDevice(const c10::DeviceIndex) const override {}
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Memory final : c10::Allocator {
  static void release(void* p) { c10::free_cpu(p); }
  c10::DataPtr allocate(size_t n) override {
    void* p = c10::alloc_cpu(n);
    return {p, p, &release, c10::Device(KIND, current)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, std::size_t n) const override { std::memcpy(to, from, n); }
};
Memory memory;
REGISTER_ALLOCATOR(KIND, &memory);

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return COUNT; }
  c10::DeviceIndex getCurrentDevice() const override { return current; }
  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t n) const override {
    auto* s = storage.unsafeGetStorageImpl();
    auto next = memory.allocate(n);
    std::memcpy(next.mutable_get(), s->data(), std::min(n, s->nbytes()));
    s->set_data_ptr_noswap(std::move(next));
    s->set_nbytes(n);
  }
};

at::Tensor here(const at::Tensor& t) {  // the same memory as a tensor of the CPU
  if (t.device().is_cpu()) return t;
  return at::from_blob(t.data_ptr(), t.sizes(), t.strides(), t.options().device(c10::kCPU));
}
at::Tensor empty(c10::SymIntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>, std::optional<at::Device> device,
                 std::optional<bool>, std::optional<at::MemoryFormat> format) {
  const c10::OptionalDeviceGuard guard(device);
  return at::detail::empty_generic(C10_AS_INTARRAYREF_SLOW(size), &memory, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   at::dtype_or_default(dtype), format);
}
at::Tensor empty_strided(c10::SymIntArrayRef size, c10::SymIntArrayRef stride, std::optional<at::ScalarType> dtype,
                         std::optional<at::Layout>, std::optional<at::Device> device, std::optional<bool>) {
  const c10::OptionalDeviceGuard guard(device);
  return at::detail::empty_strided_generic(C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), &memory,
                                           c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), at::dtype_or_default(dtype));
}
at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool) { here(to).copy_(here(from)); return to; }
at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  to.resize_(from.sizes());
  here(to).copy_(here(from));
  return to;
}
at::Scalar item(const at::Tensor& t) { return here(t).item(); }
const at::Tensor& resize_(const at::Tensor& self, c10::SymIntArrayRef size, std::optional<at::MemoryFormat>) {
  auto sizes = C10_AS_INTARRAYREF_SLOW(size);
  auto* impl = self.unsafeGetTensorImpl();
  impl->set_sizes_contiguous(sizes);
  size_t need = (impl->storage_offset() + impl->numel()) * impl->itemsize();
  if (need > self.storage().nbytes()) { c10::DeviceGuard g(self.device()); Hooks().resizePrivateUse1Bytes(self.storage(), need); }
  return self;
}
at::Tensor& set_storage(at::Tensor& self, at::Storage source, int64_t offset, at::IntArrayRef size, at::IntArrayRef stride) {
  at::native::checkSetStorage(self, source, offset, size, stride);
  auto* impl = self.unsafeGetTensorImpl();
  impl->set_storage_offset(offset);
  impl->set_sizes_and_strides(size, stride);
  return self;
}

void elsewhere(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  std::optional<c10::Device> first;
  const bool indexed = op.schema().name().find("index") != std::string::npos;  // indices may lie on the CPU, as with a GPU
  auto check = [&](const at::Tensor& t) {
    if (!t.defined()) return;
    if (t.device().type() != KIND) {
      TORCH_CHECK(t.dim() == 0 || indexed, op.schema().name(), ": a tensor of the CPU among those of another device");
      return;
    }
    if (first && *first != t.device() && t.dim() > 0)
      TORCH_CHECK(false, op.schema().name(), ": expected all tensors to be on one device, found ", *first, " and ", t.device());
    if (!first) first = t.device();
  };
  for (const auto& value : torch::jit::last(*stack, op.schema().arguments().size())) {
    if (value.isTensor()) check(value.toTensor());
    else if (value.isTensorList()) for (const at::Tensor& t : value.toTensorVector()) check(t);
    else if (value.isOptionalTensorList()) for (const std::optional<at::Tensor>& t : value.toOptionalTensorVector()) if (t) check(*t);
  }
  const c10::OptionalDeviceGuard guard(first);
  at::native::cpu_fallback(op, stack);
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", &empty);
  m.impl("empty_strided", &empty_strided);
  m.impl("as_strided", &at::native::as_strided_tensorimpl);
  m.impl("view", &at::native::view);
  m.impl("_reshape_alias", &at::native::_reshape_alias);
  m.impl("_copy_from", &copy_from);
  m.impl("_copy_from_and_resize", &copy_from_and_resize);
  m.impl("_local_scalar_dense", &item);
  m.impl("resize_", &resize_);
  m.impl("set_.source_Storage_storage_offset", &set_storage);
}
TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&elsewhere>()); }
}  // namespace

TORCH_LIBRARY(twin, m) {
  at::RegisterPrivateUse1HooksInterface(new Hooks());
  m.def("current() -> int", [] { return int64_t(current); });
  m.def("set(int device) -> ()", [](int64_t device) { current = c10::DeviceIndex(device); });
}
