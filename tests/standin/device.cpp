/* device.cpp -- the device that is made up, as the environment wants it (standin.h). Its numbers are those of its
 * compute capability where kernels depend on them, and small ones elsewhere; it is named like no card.
 */
#include "runtime.h"

#include "tests/emulator/emulator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kind_of_device {
    int major, minor, threads, shared,
        shared_most; /* threads, KB of shared memory of a multiprocessor; KB of a block */
};
static const kind_of_device kinds[] = {
    {8, 0, 2048, 164, 163}, {9, 0, 2048, 228, 227}, {10, 0, 2048, 228, 227}, {12, 0, 1536, 100, 99}};
static const kind_of_device *kind = &kinds[0];
static int                   devices;
static size_t                memory;

enum { RUNTIME_VERSION = CUDART_VERSION, MULTIPROCESSORS = 16, CACHE = 4 << 20, REGISTERS = 65536 };
static const char NAME[] = "Emulated GPU";
enum { MOST_DEVICES = 8 };
static int current; /* the one that this process uses */

static long long asked(const char *name, long long otherwise) {
    const char *text = getenv(name);
    return text && *text ? strtoll(text, nullptr, 10) : otherwise;
}
void device_begin(void) {
    const char *capability = getenv("CANTUS_STANDIN_CAPABILITY");
    devices = (int)asked("CANTUS_STANDIN_DEVICES", 1);
    memory = (size_t)asked("CANTUS_STANDIN_MEMORY", 1LL << 30);
    kind = &kinds[0];
    bool known = !capability || !*capability;
    for (const kind_of_device &k : kinds) {
        std::string name = std::to_string(k.major) + "." + std::to_string(k.minor);
        if (capability && name == capability) kind = &k, known = true;
    }
    current = 0;
    if (known && devices >= -1 && devices <= MOST_DEVICES) return;
    fprintf(stderr,
            "stand-in: CANTUS_STANDIN_CAPABILITY is 8.0, 9.0, 10.0 or 12.0, CANTUS_STANDIN_DEVICES -1, 0, 1 ... %d\n",
            MOST_DEVICES);
    _Exit(2);
}
cudaError_t device_missing(void) {
    return devices < 0 ? cudaErrorInsufficientDriver : devices == 0 ? cudaErrorNoDevice : cudaSuccess;
}
size_t device_memory(void) {
    return memory;
}
size_t device_shared_most(void) {
    return (size_t)kind->shared_most * 1024;
}

static bool known_device(int device) {
    return device >= 0 && device < devices;
}

cudaError_t cudaGetDeviceCount(int *count) {
    if (count) *count = 0;
    ENTER;
    if (!count) return fail(cudaErrorInvalidValue);
    *count = devices;
    return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
    ENTER;
    if (!known_device(device)) return fail(cudaErrorInvalidDevice);
    if (device != current && memory_in_use()) report_call("not doubled", "another device where memory is allocated");
    current = device;
    return cudaSuccess;
}
cudaError_t cudaGetDevice(int *device) {
    ENTER;
    if (!device) return fail(cudaErrorInvalidValue);
    *device = current;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetPCIBusId(char *text, int bytes, int device) {
    ENTER;
    char id[24];
    if (!known_device(device)) return fail(cudaErrorInvalidDevice);
    snprintf(id, sizeof id, "0000:%02x:00.0", (unsigned)device);
    if (!text || bytes < (int)strlen(id) + 1) return fail(cudaErrorInvalidValue);
    memcpy(text, id, strlen(id) + 1);
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int *version) {
    if (!version) return fail(cudaErrorInvalidValue);
    *version = RUNTIME_VERSION;
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int *version) { /* 0: there is no driver */
    ENTER_ANYWAY;
    if (!version) return fail(cudaErrorInvalidValue);
    *version = devices < 0 ? RUNTIME_VERSION / 1000 * 1000 - 1000 : devices == 0 ? 0 : RUNTIME_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
    ENTER;
    if (!properties) return fail(cudaErrorInvalidValue);
    if (!known_device(device)) return fail(cudaErrorInvalidDevice);
    cudaDeviceProp p = {};
    memcpy(p.name, NAME, sizeof NAME);
    p.totalGlobalMem = memory;
    p.sharedMemPerBlock = 48 * 1024;
    p.sharedMemPerBlockOptin = device_shared_most();
    p.sharedMemPerMultiprocessor = (size_t)kind->shared * 1024;
    p.reservedSharedMemPerBlock = 1024;
    p.regsPerBlock = p.regsPerMultiprocessor = REGISTERS;
    p.warpSize = 32;
    p.maxThreadsPerBlock = 1024;
    p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024, p.maxThreadsDim[2] = 64;
    p.maxGridSize[0] = 0x7fffffff, p.maxGridSize[1] = p.maxGridSize[2] = 65535;
    p.major = kind->major, p.minor = kind->minor;
    p.multiProcessorCount = MULTIPROCESSORS;
    p.maxThreadsPerMultiProcessor = kind->threads;
    p.maxBlocksPerMultiProcessor = 16;
    p.l2CacheSize = CACHE;
    p.memoryBusWidth = 256;
    p.pciBusID = device;
    p.totalConstMem = 64 * 1024;
    p.textureAlignment = 512;
    p.asyncEngineCount = 2;
    p.concurrentKernels = p.unifiedAddressing = p.canMapHostMemory = 1;
    *properties = p;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device) {
    ENTER;
    if (!value) return fail(cudaErrorInvalidValue);
    if (!known_device(device)) return fail(cudaErrorInvalidDevice);
    const struct {
        cudaDeviceAttr attribute;
        int            value;
    } known[] = {
        {cudaDevAttrMaxThreadsPerBlock, 1024},
        {cudaDevAttrMaxBlockDimX, 1024},
        {cudaDevAttrMaxBlockDimY, 1024},
        {cudaDevAttrMaxBlockDimZ, 64},
        {cudaDevAttrMaxGridDimX, 0x7fffffff},
        {cudaDevAttrMaxGridDimY, 65535},
        {cudaDevAttrMaxGridDimZ, 65535},
        {cudaDevAttrMaxSharedMemoryPerBlock, 48 * 1024},
        {cudaDevAttrMaxSharedMemoryPerBlockOptin, kind->shared_most * 1024},
        {cudaDevAttrMaxSharedMemoryPerMultiprocessor, kind->shared * 1024},
        {cudaDevAttrReservedSharedMemoryPerBlock, 1024},
        {cudaDevAttrWarpSize, 32},
        {cudaDevAttrMaxRegistersPerBlock, REGISTERS},
        {cudaDevAttrMaxRegistersPerMultiprocessor, REGISTERS},
        {cudaDevAttrMultiProcessorCount, MULTIPROCESSORS},
        {cudaDevAttrMaxThreadsPerMultiProcessor, kind->threads},
        {cudaDevAttrMaxBlocksPerMultiprocessor, 16},
        {cudaDevAttrL2CacheSize, CACHE},
        {cudaDevAttrClockRate, 1000000},
        {cudaDevAttrMemoryClockRate, 1000000},
        {cudaDevAttrGlobalMemoryBusWidth, 256},
        {cudaDevAttrComputeCapabilityMajor, kind->major},
        {cudaDevAttrComputeCapabilityMinor, kind->minor},
        {cudaDevAttrConcurrentKernels, 1},
        {cudaDevAttrAsyncEngineCount, 2},
        {cudaDevAttrUnifiedAddressing, 1},
        {cudaDevAttrCanMapHostMemory, 1},
        {cudaDevAttrIntegrated, 0},
        {cudaDevAttrEccEnabled, 0},
        {cudaDevAttrComputeMode, cudaComputeModeDefault},
        {cudaDevAttrPciDomainId, 0},
        {cudaDevAttrPciBusId, device},
        {cudaDevAttrPciDeviceId, 0},
    };
    for (const auto &k : known)
        if (k.attribute == attribute) {
            *value = k.value;
            return cudaSuccess;
        }
    report_call("not doubled", "attribute %d", (int)attribute);
    return fail(cudaErrorInvalidValue);
}
