/* kernels.cpp -- launches of kernels go on a stream, their arguments copied, and run on the emulator when it gets
 * there.
 *
 * A kernel that was given up, or of which the emulator has something to report, makes the device fail: what the program
 * does wrong shows late, at the next wait, as it does on a GPU.
 */
#include "streams.h"

#include "tests/emulator/block.h"

#include <stddef.h>
#include <string.h>

#include <algorithm>

/* A launch that outlives the call: the values of its arguments, one behind the other. */
struct kept_launch {
    machine_launch                launch;
    std::vector<max_align_t>      memory;
    std::vector<machine_argument> arguments;
    explicit kept_launch(const machine_launch &from);
};
kept_launch::kept_launch(const machine_launch &from) : launch(from) {
    size_t              used = 0;
    std::vector<size_t> at;
    auto                units = [](size_t bytes) { return (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t); };
    for (size_t i = 0; i < from.argument_count; i++) {
        at.push_back(used);
        used += units(from.arguments[i].bytes);
    }
    memory.resize(used);
    for (size_t i = 0; i < from.argument_count; i++) {
        memcpy(&memory[at[i]], from.arguments[i].data, from.arguments[i].bytes);
        arguments.push_back({&memory[at[i]], from.arguments[i].bytes});
    }
    launch.arguments = arguments.data();
}

static void run(const machine_launch &launch, bool fails) {
    int         before = emulator_report_count();
    const char *failed = fails ? "planted" : launch_now(launch);
    if (!failed && emulator_report_count() == before) return;
    bool address = emulator_reported("fault") || emulator_reported("out-of-bounds");
    standin_device_fails(!fails && address ? cudaErrorIllegalAddress : cudaErrorLaunchFailure);
}

static const char *queue_launch(const machine_launch &launch) {
    call        entered(launch.kernel, __builtin_return_address(0));
    cudaError_t error = entered.broken;
    if (error == cudaSuccess && launch.shared > device_shared_most()) error = fail(cudaErrorInvalidValue);
    if (error == cudaSuccess && fault_now(STANDIN_LAUNCH_REFUSED)) error = fail(cudaErrorLaunchOutOfResources);
    if (error == cudaSuccess) {
        auto kept = std::make_shared<kept_launch>(launch);
        bool fails = fault_now(STANDIN_LAUNCH_FAILS);
        the_counters.kernels++;
        error = stream_add(
            launch.stream,
            {std::string("kernel ") + launch.kernel, NO_SITE, [kept, fails] { run(kept->launch, fails); }, {}});
    }
    return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

void kernels_begin(void) {
    launch_queue = queue_launch;
}

/* Launches of ours ask for what they need themselves; a kernel with more than the device has is refused above. */
cudaError_t cudaFuncSetAttribute(const void *function, cudaFuncAttribute attribute, int value) {
    ENTER;
    if (!function) return fail(cudaErrorInvalidDeviceFunction);
    bool shared = attribute == cudaFuncAttributeMaxDynamicSharedMemorySize;
    if (value < 0 || (shared && (size_t)value > device_shared_most())) return fail(cudaErrorInvalidValue);
    return cudaSuccess;
}
