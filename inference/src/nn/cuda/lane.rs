//! Where our operations are told to a card: among burn's on [burn's own stream](super::stream), where it is known; otherwise on a
//! stream beside it, after everything that burn told the card before, and before everything that burn tells it afterwards. The
//! processor waits for neither.

use std::{
    collections::HashMap,
    ffi::{CString, c_void},
    fmt,
    sync::{
        LazyLock, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use cudarc::{
    cublaslt::{result::CublasError, sys as lt},
    cudnn::result::CudnnError,
    driver::{DriverError, result as driver, sys as cuda},
    nvrtc::result::NvrtcError,
};

use super::{convolution::Convolutions, products::Plans};

/// Memory that operations may use while they are computed, in bytes, until one needs more.
pub(super) const WORKSPACE: usize = 64 << 20;

/// Why the card did not do what it was told.
#[derive(Debug)]
pub(super) enum Failure {
    /// The driver says so.
    Driver(DriverError),
    /// cuBLASLt says so.
    Products(CublasError),
    /// cuDNN says so.
    Convolutions(CudnnError),
    /// A kernel could not be compiled.
    Compiler(String),
    /// burn has not the numbers, or no memory for them.
    Memory(String),
    /// Something is not installed.
    Missing(&'static str),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(error) => write!(formatter, "the driver says {error}"),
            Self::Products(error) => write!(formatter, "cuBLASLt says {error}"),
            Self::Convolutions(error) => write!(formatter, "cuDNN says {error}"),
            Self::Compiler(log) => write!(formatter, "a kernel could not be compiled: {log}"),
            Self::Memory(why) => write!(formatter, "there is no memory: {why}"),
            Self::Missing(what) => write!(formatter, "{what} is not installed"),
        }
    }
}

impl From<DriverError> for Failure {
    fn from(error: DriverError) -> Self {
        Self::Driver(error)
    }
}

impl From<CublasError> for Failure {
    fn from(error: CublasError) -> Self {
        Self::Products(error)
    }
}

impl From<CudnnError> for Failure {
    fn from(error: CudnnError) -> Self {
        Self::Convolutions(error)
    }
}

impl From<NvrtcError> for Failure {
    fn from(error: NvrtcError) -> Self {
        Self::Compiler(format!("{error:?}"))
    }
}

/// The lane of one card.
pub(super) struct Lane {
    context: cuda::CUcontext,
    /// Beside burn's.
    own_stream: cuda::CUstream,
    before: cuda::CUevent,
    after: cuda::CUevent,
    /// What is told to the lane now goes here; null at first.
    stream: cuda::CUstream,
    /// Major and minor.
    pub compute_capability: (i32, i32),
    /// cuBLASLt, and what it computes in.
    pub blas: lt::cublasLtHandle_t,
    /// Scratch memory of products on the stream of now: address and bytes.
    pub workspace: (u64, usize),
    /// What is narrowed or widened for products on the stream of now: address and bytes.
    converted: (u64, usize),
    /// Both of the other streams, whose operations may be at work in them.
    of_other_streams: HashMap<cuda::CUstream, [(u64, usize); 2]>,
    /// How products of each kind are computed.
    pub plans: Plans,
    /// cuDNN, where it is installed.
    pub convolutions: Option<Convolutions>,
    kernels: HashMap<String, cuda::CUfunction>,
}

// SAFETY: the driver's handles may be used from any thread, and a lane is used by one thread at a time.
unsafe impl Send for Lane {}

static LANES: LazyLock<Mutex<HashMap<usize, Option<Lane>>>> = LazyLock::new(Mutex::default);

/// The first failure of each card that nobody was told of.
static FAILURES: LazyLock<Mutex<HashMap<usize, String>>> = LazyLock::new(Mutex::default);

/// Whether there is one, so that nobody has to wait for the others' look at them.
static HAS_FAILED: AtomicBool = AtomicBool::new(false);

/// Remembers that a card failed, until somebody asks.
pub(super) fn remember_failure(card: usize, failure: &Failure) {
    tracing::error!("Card {card} failed: {failure}.");
    let mut failures = FAILURES.lock().unwrap_or_else(PoisonError::into_inner);
    failures.entry(card).or_insert_with(|| failure.to_string());
    HAS_FAILED.store(true, Ordering::Release);
}

/// Why a card failed, if it did since somebody asked.
pub(super) fn take_failure(card: usize) -> Option<String> {
    if !HAS_FAILED.load(Ordering::Acquire) {
        return None;
    }
    let mut failures = FAILURES.lock().unwrap_or_else(PoisonError::into_inner);
    let failure = failures.remove(&card);
    HAS_FAILED.store(!failures.is_empty(), Ordering::Release);
    failure
}

/// Whether the card has a lane: it is of a kind that knows bf16, and NVIDIA's libraries are installed.
pub(super) fn is_there(card: usize) -> bool {
    knows_convolutions(card).is_some()
}

/// Whether the card has a lane that knows convolutions.
pub(super) fn has_convolutions(card: usize) -> bool {
    knows_convolutions(card) == Some(true)
}

/// Whether the card's lane knows convolutions, where it has one.
fn knows_convolutions(card: usize) -> Option<bool> {
    // Asked for every layer of every step, while the lane may be at work.
    static ANSWERS: LazyLock<Mutex<HashMap<usize, Option<bool>>>> = LazyLock::new(Mutex::default);
    let mut answers = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
    *answers.entry(card).or_insert_with(|| with_lane(card, |lane| Ok(lane.convolutions.is_some())).ok())
}

/// Does something with a card's lane, which is made first if need be.
pub(super) fn with_lane<T>(card: usize, work: impl FnOnce(&mut Lane) -> Result<T, Failure>) -> Result<T, Failure> {
    let mut lanes = LANES.lock().unwrap_or_else(PoisonError::into_inner);
    let lane = lanes.entry(card).or_insert_with(|| match Lane::new(card) {
        Ok(lane) => Some(lane),
        Err(failure) => {
            tracing::warn!("Models run slower on card {card} than they could, because {failure}.");
            None
        }
    });
    work(lane.as_mut().ok_or(Failure::Missing("a library of NVIDIA's"))?)
}

impl Lane {
    fn new(card: usize) -> Result<Self, Failure> {
        // SAFETY: the libraries are asked for before any of their functions is called; every handle that is passed on came from
        // the call before, and the context stays for as long as the process, as burn's does.
        unsafe {
            if !lt::is_culib_present() {
                return Err(Failure::Missing("cuBLASLt (libcublasLt)"));
            }
            driver::init()?;
            let device = driver::device::get(i32::try_from(card).unwrap_or(i32::MAX))?;
            let attribute = |attribute| driver::device::get_attribute(device, attribute);
            use cuda::CUdevice_attribute as Attribute;
            let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
            let minor = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
            if major < 8 {
                return Err(Failure::Missing("a card that computes in bf16 (compute capability 8.0)"));
            }
            let context = driver::primary_ctx::retain(device)?;
            driver::ctx::set_current(context)?;
            let event = || driver::event::create(cuda::CUevent_flags::CU_EVENT_DISABLE_TIMING);
            let stream = driver::stream::create(driver::stream::StreamKind::NonBlocking)?;
            let convolutions = Convolutions::new(stream)?;
            if convolutions.is_none() {
                tracing::warn!(
                    "Convolutions run slower on card {card} than they could, because cuDNN (libcudnn) is not installed."
                );
            }
            let mut lane = Self {
                context,
                own_stream: stream,
                stream: std::ptr::null_mut(),
                of_other_streams: HashMap::new(),
                convolutions,
                before: event()?,
                after: event()?,
                compute_capability: (major, minor),
                blas: cudarc::cublaslt::result::create_handle()?,
                workspace: (0, 0),
                converted: (0, 0),
                plans: Plans::default(),
                kernels: HashMap::new(),
            };
            // An old driver cannot order a lane among burn's: better to know before anything is asked of it.
            lane.after_all_before()?;
            lane.before_all_after()?;
            Ok(lane)
        }
    }

    /// Tells the card something in burn's order: on burn's stream, or beside it where that is not known.
    pub fn in_turn(
        &mut self,
        burns: Option<cuda::CUstream>,
        work: impl FnOnce(&mut Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        // SAFETY: the context is this lane's.
        unsafe { driver::ctx::set_current(self.context)? };
        self.go_to(burns.unwrap_or(self.own_stream))?;
        if burns.is_some() {
            return work(self);
        }
        self.after_all_before()?;
        work(self)?;
        self.before_all_after()
    }

    /// From now on everything is told to a stream.
    fn go_to(&mut self, stream: cuda::CUstream) -> Result<(), Failure> {
        if self.stream == stream {
            return Ok(());
        }
        if let Some(convolutions) = &self.convolutions {
            convolutions.go_to(stream)?;
        }
        let [workspace, converted] = match self.of_other_streams.remove(&stream) {
            Some(there) => there,
            // SAFETY: the context is current.
            None => unsafe { [(driver::malloc_sync(WORKSPACE)?, WORKSPACE), (0, 0)] },
        };
        if !self.stream.is_null() {
            self.of_other_streams.insert(self.stream, [self.workspace, self.converted]);
        }
        (self.workspace, self.converted, self.stream) = (workspace, converted, stream);
        Ok(())
    }

    /// The own stream waits for what the card was told before.
    fn after_all_before(&mut self) -> Result<(), Failure> {
        // SAFETY: context, event and stream are this lane's.
        unsafe {
            cuda::cuCtxRecordEvent(self.context, self.before).result()?;
            let flags = cuda::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
            Ok(driver::stream::wait_event(self.own_stream, self.before, flags)?)
        }
    }

    /// What the card is told from now on waits for the own stream.
    fn before_all_after(&mut self) -> Result<(), Failure> {
        // SAFETY: context, event and stream are this lane's.
        unsafe {
            driver::event::record(self.after, self.own_stream)?;
            Ok(cuda::cuCtxWaitEvent(self.context, self.after).result()?)
        }
    }

    /// Copies bytes from one place of the card's memory to another.
    ///
    /// # Safety
    /// Both places have so many bytes, which stay until the card has copied them.
    pub unsafe fn copy(&self, from: u64, to: u64, bytes: u64) -> Result<(), Failure> {
        // SAFETY: the caller's promise.
        unsafe { Ok(driver::memcpy_dtod_async(to, from, bytes as usize, self.stream)?) }
    }

    /// The address of so many bytes that nobody else uses until what is told to the lane next is done.
    ///
    /// # Errors
    /// When the card has not as much.
    pub fn workspace_of(&mut self, bytes: usize) -> Result<u64, Failure> {
        grow(&mut self.workspace, bytes)
    }

    /// The same beside the workspace, for what products read.
    ///
    /// # Errors
    /// When the card has not as much.
    pub fn converted_of(&mut self, bytes: usize) -> Result<u64, Failure> {
        grow(&mut self.converted, bytes)
    }

    /// The stream of now.
    pub fn driver_stream(&self) -> cuda::CUstream {
        self.stream
    }

    /// The addresses of both kinds of memory that operations are computed in, on the stream of now.
    pub fn places(&self) -> [u64; 2] {
        [self.workspace.0, self.converted.0]
    }

    /// The stream of now, as cuBLASLt wants it.
    pub fn stream(&self) -> lt::cudaStream_t {
        self.stream.cast()
    }

    /// Begins a kernel of a source, compiled for this card the first time.
    ///
    /// # Safety
    /// The arguments are those that the kernel takes, and their addresses stay readable until this returns.
    pub unsafe fn launch(
        &mut self,
        kernel: &Kernel<'_>,
        grid: [usize; 3],
        arguments: &mut [*mut c_void],
    ) -> Result<(), Failure> {
        let function = self.compiled(kernel)?;
        let grid = grid.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        // SAFETY: the caller's promise.
        unsafe {
            driver::launch_kernel(
                function,
                (grid[0], grid[1], grid[2]),
                (kernel.threads, 1, 1),
                kernel.shared_memory,
                self.stream,
                arguments,
            )?;
        }
        Ok(())
    }

    fn compiled(&mut self, kernel: &Kernel<'_>) -> Result<cuda::CUfunction, Failure> {
        let known = format!("{} {} {}", kernel.name, kernel.is_of_this_card, kernel.definitions.join(" "));
        if let Some(function) = self.kernels.get(&known) {
            return Ok(*function);
        }
        let (major, minor) = self.compute_capability;
        let kind = if kernel.is_of_this_card { "a" } else { "" };
        let mut options = vec![format!("--gpu-architecture=compute_{major}{minor}{kind}")];
        options.extend(kernel.definitions.iter().map(|definition| format!("-D{definition}")));
        let text = |text: &str| CString::new(text).map_err(|error| Failure::Compiler(error.to_string()));
        let (source, name) = (text(kernel.source)?, text(kernel.name)?);
        // SAFETY: the program lives until its code was taken out; the module is never unloaded, so its function stays.
        let function = unsafe {
            use cudarc::nvrtc::result as nvrtc;
            let program = nvrtc::create_program(&source, None)?;
            if nvrtc::compile_program(program, &options).is_err() {
                let log = nvrtc::get_program_log(program)?;
                let log: String =
                    log.iter().map(|byte| *byte as u8 as char).filter(|character| *character != '\0').collect();
                return Err(Failure::Compiler(log));
            }
            let code = nvrtc::get_ptx(program)?;
            nvrtc::destroy_program(program)?;
            let module = driver::module::load_data(code.as_ptr().cast())?;
            let function = driver::module::get_function(module, name)?;
            // Without being asked for, a block gets no more than this.
            if kernel.shared_memory > 48 << 10 {
                driver::function::set_function_attribute(
                    function,
                    cuda::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                    i32::try_from(kernel.shared_memory).unwrap_or(i32::MAX),
                )?;
            }
            function
        };
        self.kernels.insert(known, function);
        Ok(function)
    }
}

/// The address of memory that has at least so many bytes.
fn grow(memory: &mut (u64, usize), bytes: usize) -> Result<u64, Failure> {
    if bytes > memory.1 {
        // SAFETY: the old memory is a lane's, whose context is current; the driver frees it when nothing uses it any more.
        unsafe {
            let (before, _) = std::mem::take(memory);
            if before != 0 {
                driver::free_sync(before)?;
            }
            *memory = (driver::malloc_sync(bytes)?, bytes);
        }
    }
    Ok(memory.0)
}

/// A kernel as it is written.
pub(super) struct Kernel<'a> {
    /// CUDA C++.
    pub source: &'a str,
    /// The function.
    pub name: &'a str,
    /// What is defined when it is compiled, such as `D=64`.
    pub definitions: Vec<String>,
    /// Threads of a block.
    pub threads: u32,
    /// Bytes that a block shares.
    pub shared_memory: u32,
    /// Whether it uses what only this very kind of card has, which a later one may not have.
    pub is_of_this_card: bool,
}
