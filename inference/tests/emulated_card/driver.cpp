// libcuda: a card made of the processor. Its memory is the processor's, a kernel is a function of a shared object, and a launch is
// done when it returns. Only what burn and Atelier call is there.
#include <dlfcn.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "card.h"
#include "operation.h"

extern "C" Place *card_place;
Place *card_place;

namespace {

// A thread of a block, with a stack of its own: it runs until it waits for others.
struct Thread {
    void *stack_pointer;
    std::vector<char> stack;
    Place place;
    bool is_done;
};

// Those who wait for each other.
struct Meeting {
    int expected = 0, here = 0, number = 0;

    void leave() {
        expected--;
        settle();
    }

    void settle() {
        if (here > 0 && here == expected) {
            here = 0;
            number++;
        }
    }
};

using Kernel = void (*)(void **arguments);

struct Function {
    Kernel kernel;
    // Whether threads wait for each other. If not, they run one after the other without stacks of their own.
    bool has_meetings;
    std::string name;
    char **shared_memory;
    // Bytes of its arguments, and a zero.
    const size_t *sizes;
};

// What was told while a stream was captured.
struct Graph {
    std::vector<std::function<int()>> operations;
};
Graph *captured;

constexpr unsigned WARP = 32, MOST_EXCHANGED = 8;
constexpr size_t STACK = 256 << 10;

std::vector<Thread> threads;
std::vector<Meeting> warps;
std::vector<unsigned> exchanged;
Meeting block_meeting;
void *scheduler;
unsigned running;
Kernel kernel_now;
void **arguments_now;

}  // namespace

extern "C" void card_switch(void **keep, void *go_on);
// Saves what a call keeps of the registers, and goes on with another stack.
asm(R"(
.text
.globl card_switch
card_switch:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
)");

namespace {

void let_others_run() {
    const unsigned me = running;
    card_switch(&threads[me].stack_pointer, scheduler);
    card_place = &threads[me].place;
}

void meet(Meeting &meeting) {
    const int number = meeting.number;
    meeting.here++;
    meeting.settle();
    while (number == meeting.number) let_others_run();
}

void begin_thread() {
    kernel_now(arguments_now);
    threads[running].is_done = true;
    block_meeting.leave();
    warps[running / WARP].leave();
    void *never;
    card_switch(&never, scheduler);
}

Triple place_of(unsigned thread, Triple threads) {
    return {thread % threads.x, thread / threads.x % threads.y, thread / threads.x / threads.y};
}

void run_one_after_the_other(Place &place, unsigned count) {
    card_place = &place;
    for (unsigned thread = 0; thread < count; thread++) {
        place.thread = place_of(thread, place.threads);
        kernel_now(arguments_now);
    }
}

void run_together(const Place &place, unsigned count) {
    if (threads.size() < count) threads.resize(count);
    exchanged.resize(count * MOST_EXCHANGED);
    block_meeting = Meeting{(int)count};
    warps.assign((count + WARP - 1) / WARP, Meeting{});
    for (unsigned number = 0; number < count; number++) {
        Thread &thread = threads[number];
        thread.stack.resize(STACK);
        // As if it had been left by `card_switch` called by nobody: six registers, and where to go on.
        void **top = (void **)((size_t)(thread.stack.data() + STACK) / 16 * 16 - 8 * sizeof(void *));
        memset(top, 0, 8 * sizeof(void *));
        top[6] = (void *)begin_thread;
        thread.stack_pointer = top;
        thread.place = place;
        thread.place.thread = place_of(number, place.threads);
        thread.is_done = false;
        warps[number / WARP].expected++;
    }
    for (bool all_done = false; !all_done;) {
        all_done = true;
        for (running = 0; running < count; running++) {
            if (threads[running].is_done) continue;
            all_done = false;
            card_place = &threads[running].place;
            card_switch(&scheduler, threads[running].stack_pointer);
        }
    }
}

int reserve(size_t *address, size_t bytes) {
    void *memory =
        mmap(nullptr, bytes + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    *address = (size_t)memory;
    return memory == MAP_FAILED ? 2 : 0;
}

int name_something(void **handle) {
    static size_t last = 0x1000;
    *handle = (void *)(last += 16);
    return 0;
}

}  // namespace

bool card_is_idle() {
    static const bool is_idle = getenv("EMULATED_CARD_IDLE");
    return is_idle;
}

bool card_keeps(std::function<int()> operation) {
    if (captured) captured->operations.push_back(operation);
    return captured;
}

extern "C" {

void card_meet() { meet(block_meeting); }

void card_exchange(const unsigned *given, int count, unsigned *all) {
    const unsigned me = running, first = me / WARP * WARP;
    Meeting &warp = warps[me / WARP];
    memcpy(&exchanged[me * MOST_EXCHANGED], given, count * sizeof(unsigned));
    meet(warp);
    for (unsigned lane = 0; lane < WARP && first + lane < exchanged.size() / MOST_EXCHANGED; lane++)
        memcpy(all + lane * count, &exchanged[(first + lane) * MOST_EXCHANGED], count * sizeof(unsigned));
    meet(warp);
}

int cuInit(unsigned) { return 0; }
int cuDriverGetVersion(int *version) { return *version = 13000, 0; }
int cuDeviceGet(int *device, int number) { return *device = number, 0; }
int cuDeviceGetCount(int *count) { return *count = 1, 0; }
int cuDeviceGetName(char *name, int length, int) { return snprintf(name, length, "emulated card"), 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int) { return *bytes = 64ull << 30, 0; }
int cuMemGetInfo_v2(size_t *available, size_t *total) { return *available = *total = 64ull << 30, 0; }

// By CUdevice_attribute. Compute capability 8.9: it multiplies numbers of eight bits, and kernels that are written for one later card
// alone are not compiled. EMULATED_CARD_MINOR=0 makes it 8.0.
int cuDeviceGetAttribute(int *value, int attribute, int) {
    switch (attribute) {
        case 1: case 2: case 3: return *value = 1024, 0;     // threads of a block, and along its first axes
        case 4: return *value = 64, 0;                       // along its last axis
        case 5: return *value = 2147483647, 0;               // blocks of a grid
        case 6: case 7: return *value = 65535, 0;            // along its other axes
        case 8: return *value = 48 << 10, 0;                 // shared memory of a block
        case 10: return *value = WARP, 0;
        case 14: return *value = 512, 0;                     // alignment of textures
        case 16: return *value = 108, 0;                     // multiprocessors
        case 75: return *value = 8, 0;
        case 76: return *value = getenv("EMULATED_CARD_MINOR") ? atoi(getenv("EMULATED_CARD_MINOR")) : 9, 0;
        case 97: return *value = 163 << 10, 0;               // shared memory of a block that asks for it
        default: return *value = 1, 0;
    }
}

int cuDevicePrimaryCtxRetain(void **context, int) { return name_something(context); }
int cuCtxSetCurrent(void *) { return 0; }
int cuCtxRecordEvent(void *, void *) { return 0; }
int cuCtxWaitEvent(void *, void *) { return 0; }
int cuStreamCreate(void **stream, unsigned) { return name_something(stream); }
int cuStreamWaitEvent(void *, void *, unsigned) { return 0; }
int cuStreamSynchronize(void *) { return 0; }
int cuEventCreate(void **event, unsigned) { return name_something(event); }
int cuEventRecord(void *, void *) { return 0; }
int cuEventSynchronize(void *) { return 0; }
int cuEventDestroy_v2(void *) { return 0; }
int cuGetErrorName(int, const char **name) { return *name = "EMULATED", 0; }
int cuGetErrorString(int, const char **text) { return *text = "the emulated card says no more", 0; }

int cuMemAlloc_v2(size_t *address, size_t bytes) { return reserve(address, bytes); }
int cuMemAllocAsync(size_t *address, size_t bytes, void *) { return reserve(address, bytes); }
int cuMemFree_v2(size_t) { return 0; }
int cuMemFreeAsync(size_t, void *) { return 0; }
int cuMemAllocHost_v2(void **memory, size_t bytes) { return (*memory = calloc(1, bytes)) ? 0 : 2; }
int cuMemFreeHost(void *memory) { return free(memory), 0; }
int cuMemcpyHtoDAsync_v2(size_t to, const void *from, size_t bytes, void *) { return memcpy((void *)to, from, bytes), 0; }
int cuMemcpyDtoDAsync_v2(size_t to, size_t from, size_t bytes, void *) {
    auto copy = [=] { return memcpy((void *)to, (void *)from, bytes), 0; };
    return card_keeps(copy) ? 0 : copy();
}
int cuMemcpyDtoHAsync_v2(void *to, size_t from, size_t bytes, void *) { return memcpy(to, (void *)from, bytes), 0; }

// CUDA_MEMCPY2D.
struct Side {
    size_t column, row;
    int kind;
    const void *host;
    size_t device;
    void *array;
    size_t pitch;

    char *first() const { return (char *)(kind == 1 ? (size_t)host : device) + row * pitch + column; }
};
struct Copy {
    Side from, to;
    size_t width, height;
};
int cuMemcpy2DAsync_v2(const Copy *copy, void *) {
    for (size_t row = 0; row < copy->height; row++)
        memcpy(copy->to.first() + row * copy->to.pitch, copy->from.first() + row * copy->from.pitch, copy->width);
    return 0;
}

// An image is the path of a shared object: see compiler.cpp.
int cuModuleLoadData(void **module, const void *image) {
    *module = dlopen((const char *)image, RTLD_NOW | RTLD_LOCAL);
    if (!*module) fprintf(stderr, "emulated card: %s\n", dlerror());
    return *module ? 0 : 200;
}

int cuModuleGetFunction(Function **function, void *module, const char *name) {
    auto kernel = (Kernel)dlsym(module, (std::string("call_") + name).c_str());
    if (!kernel) return fprintf(stderr, "emulated card: no kernel `%s`: %s\n", name, dlerror()), 500;
    const bool has_meetings = dlsym(module, "has_meetings") != nullptr;
    auto sizes = (const size_t *)dlsym(module, (std::string("sizes_") + name).c_str());
    *function = new Function{kernel, has_meetings, name, (char **)dlsym(module, "shared_memory"), sizes};
    return 0;
}

int cuFuncSetAttribute(Function *, int, int) { return 0; }

int cuStreamBeginCapture_v2(void *, int) { return captured ? 901 : (captured = new Graph, 0); }
int cuStreamEndCapture(void *, Graph **graph) { return *graph = captured, captured = nullptr, 0; }
int cuGraphInstantiateWithFlags(Graph **executable, const Graph *graph, unsigned long long) { return *executable = new Graph(*graph), 0; }
int cuGraphDestroy(Graph *graph) { return delete graph, 0; }
int cuGraphExecDestroy(Graph *graph) { return delete graph, 0; }
int cuGraphLaunch(const Graph *graph, void *) {
    if (card_is_idle()) return 0;
    for (auto &operation : graph->operations)
        if (const int failure = operation()) return failure;
    return 0;
}

int cuLaunchKernel(Function *function, unsigned blocks_x, unsigned blocks_y, unsigned blocks_z, unsigned threads_x,
                   unsigned threads_y, unsigned threads_z, unsigned shared_bytes, void *, void **arguments, void **) {
    if (card_is_idle()) return 0;
    if (captured) {
        // A graph keeps the arguments as they are now.
        std::vector<std::vector<char>> kept;
        for (int number = 0; function->sizes[number]; number++)
            kept.emplace_back((char *)arguments[number], (char *)arguments[number] + function->sizes[number]);
        card_keeps([=]() mutable {
            std::vector<void *> places;
            for (auto &one : kept) places.push_back(one.data());
            return cuLaunchKernel(function, blocks_x, blocks_y, blocks_z, threads_x, threads_y, threads_z, shared_bytes, nullptr,
                                  places.data(), nullptr);
        });
        return 0;
    }
    std::vector<char> shared(shared_bytes + 1024);
    *function->shared_memory = (char *)(((size_t)shared.data() + 1023) / 1024 * 1024);
    Place place{};
    place.threads = {threads_x, threads_y, threads_z};
    place.blocks = {blocks_x, blocks_y, blocks_z};
    kernel_now = function->kernel;
    arguments_now = arguments;
    for (unsigned z = 0; z < blocks_z; z++)
        for (unsigned y = 0; y < blocks_y; y++)
            for (unsigned x = 0; x < blocks_x; x++) {
                place.block = {x, y, z};
                const unsigned count = threads_x * threads_y * threads_z;
                function->has_meetings ? run_together(place, count) : run_one_after_the_other(place, count);
            }
    return 0;
}
}
