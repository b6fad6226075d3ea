//! Which images go to a graphics device, and what receipts tell of it.

use crate::settings::Settings;
use crate::task::Order;
use imaging::Plan;
use imaging::gpu::{Choice, Device, Offload};
use std::sync::Arc;

/// Wall time on the processor from which on looking for a device pays where nobody asked for one: opening it takes
/// up to half a second.
const WORTH_NS: f64 = 2e9;

/// What is known of devices while images are planned.
pub(crate) enum Found {
    /// Nobody asked, and it would not pay.
    Unasked,
    /// There is none, or none is wanted.
    Not(String),
    /// There is one.
    Device(Arc<Device>),
}

/// Looks for a device, for images that take `ns` nanoseconds on the processor.
pub(crate) fn find(settings: &Settings, ns: f64) -> Found {
    match settings.device {
        Choice::Auto if ns < WORTH_NS => Found::Unasked,
        Choice::Cpu => Found::Not("asked for by --device cpu".into()),
        choice => match (Device::shared(choice == Choice::Gpu), choice) {
            (Ok(device), _) => Found::Device(device),
            (Err(_), Choice::Auto) => Found::Unasked,
            (Err(trouble), _) => Found::Not(trouble.to_string()),
        },
    }
}

/// Whether an image goes to the device, whose work `threads` threads would do instead, and the plan that says so.
pub(crate) fn decide(
    found: &Found,
    settings: &Settings,
    plan: &Plan,
    threads: usize,
) -> (Plan, Decision) {
    let mut plan = plan.clone();
    let decision = match found {
        Found::Unasked => Decision::default(),
        Found::Not(reason) => Decision {
            threads: 0,
            reason: reason.clone(),
        },
        Found::Device(device) => {
            let offload = Arc::new(Offload::new(device.clone(), settings.device, threads));
            let placement = plan.place(&offload);
            Decision {
                threads: if placement.gpu { threads.max(1) } else { 0 },
                reason: placement.reason,
            }
        }
    };
    (plan, decision)
}

/// What [`decide`] decided.
#[derive(Default)]
pub(crate) struct Decision {
    /// Threads that the device stands for; 0: the processor computes.
    pub(crate) threads: usize,
    /// Why.
    pub(crate) reason: String,
}

/// A device at work on one image.
pub(crate) struct Placed {
    offload: Option<Arc<Offload>>,
    reason: String,
    missing: Option<String>,
    asked: bool,
}

/// Sends a plan to the device as its order says.
pub(crate) fn place(order: &Order, settings: &Settings, plan: &mut Plan) -> Placed {
    let asked = settings.device == Choice::Gpu;
    let mut placed = Placed {
        offload: None,
        reason: order.device_reason.clone(),
        missing: None,
        asked,
    };
    if order.device_threads > 0 {
        match Device::shared(asked) {
            Ok(device) => {
                let offload = Offload::new(device, settings.device, order.device_threads);
                let offload = Arc::new(offload);
                // Also where this process' device was timed a little otherwise than the planner's.
                if plan.place(&offload).gpu {
                    placed.offload = Some(offload);
                }
            }
            Err(trouble) => placed.missing = Some(trouble.to_string()),
        }
    }
    placed
}

/// What a receipt tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// `gpu`, `cpu`, or nothing where there was nothing to decide.
    pub device: &'static str,
    /// Why.
    pub reason: String,
    /// Why the processor did what was the device's.
    pub warning: Option<String>,
}

impl Placed {
    /// What came of it.
    pub(crate) fn told(&self) -> Told {
        let trouble = self.offload.as_ref().and_then(|o| o.trouble());
        let trouble = trouble.map(|t| t.to_string()).or(self.missing.clone());
        let (device, why) = match (&self.offload, &trouble) {
            (Some(_), None) => ("gpu", None),
            (_, Some(trouble)) => ("cpu", Some(trouble.clone())),
            (None, None) if self.reason.is_empty() => ("", None),
            (None, None) => ("cpu", self.asked.then(|| self.reason.clone())),
        };
        Told {
            device,
            reason: trouble.unwrap_or_else(|| self.reason.clone()),
            warning: why.map(|why| format!("the processor did the work: {why}")),
        }
    }
}
