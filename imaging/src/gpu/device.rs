//! One device of the process: found, opened, watched, and its programs compiled once.

use super::buffers::{Lease, Pool};
use super::kernel::{Pass, Program};
use super::{Info, Speed, Trouble};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Memory of a device, and for the ways there and back, that is used at most.
const CAP: u64 = 2 << 30;

/// What all programs begin with.
const COMMON: &str = include_str!("shaders/common.wgsl");

/// How long one piece of work may take before the device counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// A graphics device that computes.
pub struct Device {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) pool: Arc<Pool>,
    pub(super) layout: wgpu::BindGroupLayout,
    pub(super) nothing: wgpu::Buffer,
    /// Bytes of the largest buffer that a program can be given.
    pub(super) most: u64,
    pipeline_layout: wgpu::PipelineLayout,
    pipelines: Mutex<HashMap<String, wgpu::ComputePipeline>>,
    info: Info,
    fault: Arc<Mutex<Option<String>>>,
    speed: OnceLock<Speed>,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.info.fmt(f)
    }
}

fn instance() -> wgpu::Instance {
    wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::VULKAN,
        // No layers of validation, and none that the environment names.
        flags: wgpu::InstanceFlags::empty(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    })
}

fn info(adapter: &wgpu::Adapter) -> Info {
    let info = adapter.get_info();
    Info {
        name: info.name,
        driver: format!("{} {}", info.driver, info.driver_info)
            .trim()
            .to_owned(),
        software: info.device_type == wgpu::DeviceType::Cpu,
    }
}

/// Real devices before those in software, separate ones before those of the processor.
fn rank(adapter: &wgpu::Adapter) -> u32 {
    match adapter.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

fn adapters() -> Vec<wgpu::Adapter> {
    let mut found = pollster::block_on(instance().enumerate_adapters(wgpu::Backends::VULKAN));
    found.sort_by_key(rank);
    found
}

impl Device {
    /// The device of this process, opened at the first call. One in software is taken only where `software`.
    pub fn shared(software: bool) -> Result<Arc<Device>, Trouble> {
        static DEVICES: [OnceLock<Result<Arc<Device>, Trouble>>; 2] =
            [OnceLock::new(), OnceLock::new()];
        let open = |software: bool| Device::open(software).map(Arc::new);
        let real = DEVICES[0].get_or_init(|| open(false));
        match real.is_err() && software {
            true => DEVICES[1].get_or_init(|| open(true)).clone(),
            false => real.clone(),
        }
    }

    /// All devices of the machine, the one that would be taken first.
    pub fn list() -> Vec<Info> {
        let found = std::panic::catch_unwind(adapters).unwrap_or_default();
        found.iter().map(info).collect()
    }

    /// Opens a device of its own, apart from the process' one.
    pub fn open(software: bool) -> Result<Device, Trouble> {
        let none =
            || Trouble("no graphics device was found (is a Vulkan driver installed?)".into());
        let found = std::panic::catch_unwind(adapters).map_err(|_| none())?;
        let fits = |a: &wgpu::Adapter| software || !info(a).software;
        let adapter = found.into_iter().find(fits).ok_or_else(none)?;
        let info = info(&adapter);
        let limits = adapter.limits();
        let wanted = wgpu::Limits {
            max_buffer_size: limits.max_buffer_size,
            max_storage_buffer_binding_size: limits.max_storage_buffer_binding_size,
            ..wgpu::Limits::downlevel_defaults()
        };
        let most = wanted
            .max_buffer_size
            .min(wanted.max_storage_buffer_binding_size as u64);
        let failed = |error: wgpu::RequestDeviceError| Trouble(format!("{}: {error}", info.name));
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            label: None,
            required_features: wgpu::Features::empty(),
            required_limits: wanted,
            ..Default::default()
        }))
        .map_err(failed)?;
        let fault = Arc::new(Mutex::new(None));
        let note = |fault: &Arc<Mutex<Option<String>>>| {
            let fault = fault.clone();
            move |text: String| {
                fault
                    .lock()
                    .unwrap_or_else(|e| e.into_inner())
                    .get_or_insert(text);
            }
        };
        let (lost, wrong) = (note(&fault), note(&fault));
        device
            .set_device_lost_callback(move |_, text| lost(format!("the device was lost: {text}")));
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| wrong(error.to_string())));
        let layout = bindings(&device);
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let nothing = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 16,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        Ok(Device {
            pool: Pool::new(device.clone(), CAP),
            device,
            queue,
            layout,
            nothing,
            most,
            pipeline_layout,
            pipelines: Mutex::default(),
            info,
            fault,
            speed: OnceLock::new(),
        })
    }

    /// What it is.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// What it takes, found by timing it at the first call.
    pub fn speed(&self) -> Speed {
        *self.speed.get_or_init(|| super::calibrate::time(self))
    }

    /// Ends it, as a lost device ends.
    pub fn destroy(&self) {
        self.device.destroy();
        self.fault
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .get_or_insert("the device was lost: it was ended".into());
    }

    /// An error once anything went wrong.
    pub(super) fn check(&self) -> Result<(), Trouble> {
        let fault = self.fault.lock().unwrap_or_else(|e| e.into_inner());
        match &*fault {
            Some(text) => Err(Trouble(format!("{}: {text}", self.info.name))),
            None => Ok(()),
        }
    }

    /// Waits until the device has done what was submitted.
    pub(super) fn wait(&self, submitted: wgpu::SubmissionIndex) -> Result<(), Trouble> {
        let waited = self.device.poll(wgpu::PollType::Wait {
            submission_index: Some(submitted),
            timeout: Some(PATIENCE),
        });
        self.check()?;
        let late = |error| Trouble(format!("{}: {error}", self.info.name));
        waited.map(|_| ()).map_err(late)
    }

    /// Waits until the device has filled a buffer and it can be read.
    pub(super) fn wait_for(
        &self,
        submitted: wgpu::SubmissionIndex,
        down: &Lease,
    ) -> Result<(), Trouble> {
        self.wait(submitted)?;
        let begun = Instant::now();
        while !down.is_readable() {
            self.check()?;
            if begun.elapsed() > PATIENCE {
                return Err(Trouble(format!(
                    "{}: a buffer was never filled",
                    self.info.name
                )));
            }
            std::thread::yield_now();
            let _ = self.device.poll(wgpu::PollType::Poll);
        }
        Ok(())
    }

    /// The compiled program of a pass.
    pub(super) fn pipeline(&self, pass: &Pass) -> Result<wgpu::ComputePipeline, Trouble> {
        let text = text(pass.program, &pass.constants);
        let key = format!("{}\n{text}", pass.program.entry);
        let mut pipelines = self.pipelines.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(pipeline) = pipelines.get(&key) {
            return Ok(pipeline.clone());
        }
        let module = self
            .device
            .create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(pass.program.entry),
                source: wgpu::ShaderSource::Wgsl(text.into()),
            });
        let pipeline = self
            .device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(pass.program.entry),
                layout: Some(&self.pipeline_layout),
                module: &module,
                entry_point: Some(pass.program.entry),
                compilation_options: Default::default(),
                cache: None,
            });
        self.check()?;
        pipelines.insert(key, pipeline.clone());
        Ok(pipeline)
    }
}

/// The whole text of a program.
fn text(program: &Program, constants: &[(&'static str, i32)]) -> String {
    let mut text = String::from(COMMON);
    for name in program.constants {
        let given = constants.iter().find(|(n, _)| n == name);
        let value = given.map_or(1, |(_, value)| *value);
        text += &format!("const {name}: i32 = {value};\n");
    }
    text + program.source
}

/// What every program is given: rows to read, rows to write, the pass, and its data.
fn bindings(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    let entry = |binding: u32, read_only: bool| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only },
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    };
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: None,
        entries: &[
            entry(0, true),
            entry(1, false),
            entry(2, true),
            entry(3, true),
        ],
    })
}
