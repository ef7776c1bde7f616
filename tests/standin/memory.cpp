/* memory.cpp -- memory of the device and pinned memory of the host, and what is copied between them.
 *
 * Device memory is the emulator's. Copies read and write when they run, so a buffer of the host that is used again too
 * early shows; it is also compared with what it was (queue.h).
 */
#include "streams.h"

#include "tests/emulator/checker.h"
#include "tests/emulator/memory.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>

struct made {
    size_t bytes, mapped; /* mapped 0: not ours, cudaHostRegister */
    site   where;
};
static std::map<const char *, made> of_device, pinned;
static size_t                       in_use; /* bytes of the device */

/* ---- where an address lies */
enum place { PAGEABLE, PINNED, DEVICE };
struct area {
    place  in;
    size_t left; /* bytes from the address on */
};
static area area_of(const void *address) {
    const char       *p = static_cast<const char *>(address);
    const allocation *a = memory_find(p);
    if (a && p >= a->data && p <= a->data + a->bytes) return {DEVICE, (size_t)(a->data + a->bytes - p)};
    auto next = pinned.upper_bound(p);
    if (next == pinned.begin()) return {PAGEABLE, SIZE_MAX};
    --next;
    size_t at = (size_t)(p - next->first);
    if (at >= next->second.bytes) return {PAGEABLE, SIZE_MAX};
    return {PINNED, next->second.bytes - at};
}

bool standin_check_device(const void *array, size_t bytes, const char *what) {
    area a = area_of(array);
    if (bytes == 0 || (a.in == DEVICE && a.left >= bytes)) return true;
    if (a.in == DEVICE)
        report("out-of-bounds", call_site(), "%s: %zu bytes, %zu are left of the allocation", what, bytes, a.left);
    else
        report("memory", call_site(), "%s: %p is not device memory", what, array);
    return false;
}
bool memory_in_use(void) {
    return !of_device.empty();
}
bool memory_there(const order &what) {
    for (const touched &t : what.touches) {
        area a = area_of(t.start);
        if (a.in == (t.pinned ? PINNED : DEVICE) && a.left >= t.bytes) continue;
        report_call("memory", "%s: its memory has been freed", what.what.c_str());
        return false;
    }
    return true;
}
void standin_reads(const void *array, size_t bytes) {
    if (bytes > 0 && standin_check_device(array, bytes, "read"))
        check_host_read(memory_find(array), static_cast<const char *>(array), bytes);
}
void standin_writes(void *array, size_t bytes) {
    if (bytes > 0 && standin_check_device(array, bytes, "write"))
        check_host_write(memory_find(array), static_cast<char *>(array), bytes);
}

/* ---- device memory */
cudaError_t cudaMalloc(void **memory, size_t bytes) {
    ENTER;
    the_counters.synchronising++;
    the_counters.device_allocations++;
    if (!memory) return fail(cudaErrorInvalidValue);
    if (capture_refuses() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    *memory = nullptr;
    if (bytes == 0) return cudaSuccess;
    if (fault_now(STANDIN_NO_DEVICE_MEMORY) || bytes > device_memory() - in_use) return fail(cudaErrorMemoryAllocation);
    queue_nudge({});
    *memory = emulator_alloc(bytes);
    of_device[static_cast<char *>(*memory)] = {bytes, 0, call_site()};
    in_use += bytes;
    return cudaSuccess;
}
cudaError_t cudaFree(void *memory) {
    ENTER_ANYWAY;
    the_counters.synchronising++;
    if (capture_refuses() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    queue_wait_for_all();
    if (!memory) return waited();
    auto found = of_device.find(static_cast<char *>(memory));
    if (found == of_device.end()) {
        report_call("memory", "%p is not the start of an allocation of the device", memory);
        return fail(cudaErrorInvalidValue);
    }
    in_use -= found->second.bytes;
    of_device.erase(found);
    emulator_free(memory);
    return waited();
}
cudaError_t cudaMemGetInfo(size_t *left, size_t *total) {
    ENTER;
    if (left) *left = device_memory() - in_use;
    if (total) *total = device_memory();
    return cudaSuccess;
}

/* ---- pinned memory */
static cudaError_t pin(void **memory, size_t bytes) {
    the_counters.synchronising++;
    the_counters.pinned_allocations++;
    if (!memory) return fail(cudaErrorInvalidValue);
    if (capture_refuses() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    *memory = nullptr;
    if (bytes == 0) return cudaSuccess;
    if (fault_now(STANDIN_NO_PINNED_MEMORY)) return fail(cudaErrorMemoryAllocation);
    queue_nudge({});
    size_t page = (size_t)sysconf(_SC_PAGESIZE), inner = (bytes + page - 1) / page * page;
    void  *mapping = mmap(nullptr, inner + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) return fail(cudaErrorMemoryAllocation);
    mprotect(static_cast<char *>(mapping) + inner, page, PROT_NONE);
    memset(mapping, 0xff, inner);
    pinned[static_cast<char *>(mapping)] = {bytes, inner + page, call_site()};
    *memory = mapping;
    return cudaSuccess;
}
cudaError_t cudaMallocHost(void **memory, size_t bytes) {
    ENTER;
    return pin(memory, bytes);
}
cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned flags) {
    ENTER;
    if (flags & ~(unsigned)(cudaHostAllocPortable | cudaHostAllocMapped | cudaHostAllocWriteCombined))
        return fail(cudaErrorInvalidValue);
    return pin(memory, bytes);
}
static cudaError_t unpin(void *memory, bool registered) {
    the_counters.synchronising++;
    if (capture_refuses() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    auto found = pinned.find(static_cast<char *>(memory));
    if (found == pinned.end() || (found->second.mapped == 0) != registered) {
        report_call("memory", "%p is not the start of pinned memory of this kind", memory);
        return fail(registered ? cudaErrorHostMemoryNotRegistered : cudaErrorInvalidValue);
    }
    const work *user = queue_touching(memory, found->second.bytes, false);
    if (user) report_call("pinned", "freed while this is pending: %s", user->ordered.what.c_str());
    queue_wait_for_all();
    if (found->second.mapped) munmap(memory, found->second.mapped);
    pinned.erase(found);
    return waited();
}
cudaError_t cudaFreeHost(void *memory) {
    ENTER_ANYWAY;
    return memory ? unpin(memory, false) : entered.broken;
}
cudaError_t cudaHostRegister(void *memory, size_t bytes, unsigned flags) {
    ENTER;
    the_counters.synchronising++;
    the_counters.pinned_allocations++;
    if (!memory || bytes == 0 || flags & cudaHostRegisterIoMemory) return fail(cudaErrorInvalidValue);
    if (capture_refuses() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    if (area_of(memory).in != PAGEABLE) return fail(cudaErrorHostMemoryAlreadyRegistered);
    if (fault_now(STANDIN_NO_PINNED_MEMORY)) return fail(cudaErrorMemoryAllocation);
    pinned[static_cast<char *>(memory)] = {bytes, 0, call_site()};
    return cudaSuccess;
}
cudaError_t cudaHostUnregister(void *memory) {
    ENTER_ANYWAY;
    return unpin(memory, true);
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *attributes, const void *address) {
    ENTER;
    if (!attributes) return fail(cudaErrorInvalidValue);
    place in = area_of(address).in;
    *attributes = cudaPointerAttributes();
    attributes->type = in == DEVICE   ? cudaMemoryTypeDevice
                       : in == PINNED ? cudaMemoryTypeHost
                                      : cudaMemoryTypeUnregistered;
    attributes->device = in == PAGEABLE ? -2 : 0;
    attributes->devicePointer = in == PAGEABLE ? nullptr : const_cast<void *>(address);
    attributes->hostPointer = in == PINNED ? const_cast<void *>(address) : nullptr;
    return cudaSuccess;
}

/* ---- copies */
struct copy {
    void                              *to;
    const void                        *from;
    size_t                             bytes;
    area                               of_to, of_from;
    std::shared_ptr<std::vector<char>> staged; /* a copy of pageable bytes that are on the way */
};
static bool within(const char *which, const void *address, const area &a, bool device, size_t bytes) {
    if ((a.in == DEVICE) != device) {
        report_call("memory", "the %s %p is %s memory", which, address, device ? "no device" : "device");
        return false;
    }
    if (a.left < bytes) {
        report_call("out-of-bounds", "%zu bytes; of the %s's allocation %zu are left", bytes, which, a.left);
        return false;
    }
    return true;
}
/* Refuses what is not what `kind` says. */
static cudaError_t check_copy_of(const copy &c, cudaMemcpyKind kind) {
    if (kind > cudaMemcpyDefault) return fail(cudaErrorInvalidMemcpyDirection);
    bool to = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    bool from = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (kind == cudaMemcpyDefault) to = c.of_to.in == DEVICE, from = c.of_from.in == DEVICE;
    if (!c.to || !c.from) return fail(cudaErrorInvalidValue);
    if (!within("destination", c.to, c.of_to, to, c.bytes)) return fail(cudaErrorInvalidValue);
    if (!within("source", c.from, c.of_from, from, c.bytes)) return fail(cudaErrorInvalidValue);
    return cudaSuccess;
}
static cudaError_t add_copy(const copy &c, cudaStream_t stream) {
    const char *name[] = {"pageable", "pinned", "device"};
    order o = {std::string(call_name()) + " of " + std::to_string(c.bytes) + " bytes, " + name[c.of_from.in] + " to " +
                   name[c.of_to.in] + " memory",
               call_site(),
               nullptr,
               {}};
    if (c.of_to.in != PAGEABLE)
        o.touches.push_back({static_cast<const char *>(c.to), c.bytes, true, c.of_to.in == PINNED});
    if (c.of_from.in != PAGEABLE)
        o.touches.push_back({static_cast<const char *>(c.from), c.bytes, false, c.of_from.in == PINNED});
    o.run = [c] {
        if (c.of_from.in == DEVICE) standin_reads(c.from, c.bytes);
        memmove(c.to, c.from, c.bytes);
        if (c.of_to.in == DEVICE) standin_writes(c.to, c.bytes);
    };
    the_counters.copies++;
    return stream_add(stream, o);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    ENTER;
    if (bytes == 0) return cudaSuccess;
    cudaStream_t s = stream_of(stream);
    if (!s) return cudaErrorInvalidResourceHandle;
    copy        c = {to, from, bytes, area_of(to), area_of(from), nullptr};
    cudaError_t error = check_copy_of(c, kind);
    if (error != cudaSuccess) return error;
    if (c.of_to.in != PAGEABLE && c.of_from.in != PAGEABLE) return add_copy(c, s);
    report_call("pageable", "%zu bytes %s pageable memory: the call waits for the device", bytes,
                c.of_to.in == PAGEABLE ? "to" : "from");
    the_counters.synchronising++;
    error = add_copy(c, s);
    if (error != cudaSuccess || s->capturing) return error;
    queue_wait_for(stream_end(s));
    return waited();
}
/* Waits, but for copies within the device; of pageable memory only until it has been read: the bytes may arrive later.
 */
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
    ENTER;
    the_counters.synchronising++;
    if (capture_refuses() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    if (bytes == 0) return cudaSuccess;
    copy        c = {to, from, bytes, area_of(to), area_of(from), nullptr};
    cudaError_t error = check_copy_of(c, kind);
    if (error != cudaSuccess) return error;
    const bool staged = c.of_to.in == DEVICE && c.of_from.in == PAGEABLE;
    if (staged) {
        queue_wait_for(stream_end(the_streams[0]));
        const char *bytes_of = static_cast<const char *>(from);
        c.staged = std::make_shared<std::vector<char>>(bytes_of, bytes_of + bytes);
        c.from = c.staged->data();
    }
    error = add_copy(c, the_streams[0]);
    if (error != cudaSuccess || staged || (c.of_to.in == DEVICE && c.of_from.in == DEVICE)) return error;
    queue_wait_for(stream_end(the_streams[0]));
    return waited();
}

static cudaError_t set(void *to, int value, size_t bytes, cudaStream_t stream) {
    if (bytes == 0) return cudaSuccess;
    if (!within("destination", to, area_of(to), true, bytes)) return fail(cudaErrorInvalidValue);
    return stream_add(stream, {std::string(call_name()) + " of " + std::to_string(bytes) + " bytes",
                               call_site(),
                               [to, value, bytes] {
                                   memset(to, value, bytes);
                                   standin_writes(to, bytes);
                               },
                               {{static_cast<const char *>(to), bytes, true, false}}});
}
cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream) {
    ENTER;
    return set(to, value, bytes, stream);
}
/* Returns before it is done, as the runtime's does. */
cudaError_t cudaMemset(void *to, int value, size_t bytes) {
    ENTER;
    the_counters.synchronising++;
    if (capture_refuses() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    return set(to, value, bytes, nullptr);
}

/* ---- afresh */
void memory_begin(void) {
    for (const auto &entry : of_device) emulator_free(const_cast<char *>(entry.first));
    for (const auto &entry : pinned)
        if (entry.second.mapped) munmap(const_cast<char *>(entry.first), entry.second.mapped);
    of_device.clear();
    pinned.clear();
    in_use = 0;
    device_memory_close(true);
}
int memory_leaks(void) {
    for (const auto &entry : of_device)
        report("leak", entry.second.where, "%zu bytes of the device were not freed", entry.second.bytes);
    for (const auto &entry : pinned)
        report("leak", entry.second.where, "%zu bytes of pinned memory were not freed", entry.second.bytes);
    return (int)(of_device.size() + pinned.size());
}
