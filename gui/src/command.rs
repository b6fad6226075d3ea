//! What the user asks for. Panels make commands; [`crate::logic`] carries them out.

use crate::state::Tab;
use crate::state::files::{Key, Show};
use crate::state::inspect::Subject;
use crate::state::jobs::{Target, Token, Which};
use crate::state::view::Compare;
use crate::work::dialogs::Purpose;
use crate::work::jobs::Ask;
use imaging::op::{Op, Value};
use protocol::job::{Bits, ReduceOp};
use std::ops::Range;
use std::path::PathBuf;

/// One thing asked for.
pub enum Command {
    /// Show another part of the window.
    Tab(Tab),
    /// Ask for files or folders in a dialog.
    Ask(Purpose),
    /// Add files, folders, and prefixes of stores.
    Add(Vec<PathBuf>),
    /// A path or the address of a store is being typed.
    Typed(String),
    /// Whether what lies in stores is fetched for thumbnails.
    Far(bool),
    /// A row was clicked: alone, with those before, or as the end of a range.
    Click {
        /// The row.
        row: usize,
        /// With those selected before.
        toggle: bool,
        /// All from the last one clicked.
        range: bool,
    },
    /// Go up or down in the list.
    Step(isize),
    /// Select all that is listed.
    SelectAll,
    /// Take the selected files out of the list.
    RemoveSelected,
    /// Take all files out of the list.
    Clear,
    /// Sort by a key; by the same once more: backwards.
    Sort(Key),
    /// Show files whose names contain a text.
    Filter(String),
    /// Show files by their state.
    Show(Show),
    /// Files whose rows are in sight.
    InSight(Vec<u64>),
    /// Search operations.
    Search(String),
    /// Add an operation.
    AddStep(&'static Op),
    /// Take a step out.
    RemoveStep(u64),
    /// Move a step.
    MoveStep(u64, usize),
    /// Switch a step on or off.
    ToggleStep(u64),
    /// Open or close a step's form.
    OpenStep(u64),
    /// Set an argument of a step.
    Set(u64, usize, Value),
    /// Give a step its defaults.
    Reset(u64),
    /// The pipeline's text was edited.
    Text(String),
    /// Take the last change of the pipeline back.
    Undo,
    /// Make it again.
    Redo,
    /// Put a preset in place of the pipeline.
    Preset(usize),
    /// Keep the pipeline as a preset of the user's.
    KeepPreset(String),
    /// Where results go.
    Output(String),
    /// The format with its options.
    Format(String),
    /// Change the rest of the job.
    Setup(Box<dyn FnOnce(&mut protocol::Job)>),
    /// Compare before and after in that way.
    Compare(Compare),
    /// Where the line between before and after is.
    Split(f32),
    /// Zoom of the preview and the point in its middle.
    Look(Option<f32>, (f32, f32)),
    /// Whether the original is shown.
    Hold(bool),
    /// Whether histograms are shown.
    Histograms(bool),
    /// Run jobs elsewhere, with a token where one was typed.
    Target(Target, Option<Token>),
    /// The address of a gateway is being typed.
    Address(String),
    /// Ask the job system.
    Jobs(Ask),
    /// The number of workers that is set, and not asked for yet.
    Workers(Option<usize>),
    /// Look at a job.
    ChooseJob(Option<String>),
    /// List images of a job by their state, and by text.
    ListTasks(Which, String),
    /// Rows of jobs that are in sight.
    JobsInSight(Range<usize>),
    /// Whether a job is to be deleted is asked for, or not any more.
    Sure(Option<String>),
    /// Put the links of a job away.
    CloseLinks,
    /// Ask for another page of them: on, or back.
    TurnLinks(bool),
    /// Ask for them anew, as they end.
    RenewLinks,
    /// Fetch a job's outputs into the folder for results.
    Download(String),
    /// Choose an output of those with links, by task and page, or not any more.
    ChooseOutput((u64, Option<u32>), bool),
    /// Fetch the chosen outputs into the folder for results.
    DownloadChosen,
    /// What is made of many files.
    Stack(ReduceOp),
    /// Its samples.
    StackBits(Option<Bits>),
    /// The file that it goes to.
    StackOutput(String),
    /// Make it.
    StackStart,
    /// Make the plan.
    Plan,
    /// Put the plan away.
    ClosePlan,
    /// Run the job on this computer.
    Start,
    /// Stop the run after the images that are being worked on.
    Stop,
    /// Begin nothing more of the run, or go on with it.
    Pause(bool),
    /// Run again what did not succeed.
    Retry,
    /// Show one image of the results.
    Choose(usize),
    /// Look at it beside its input, large and with its receipt.
    Inspect,
    /// Look at an output of a job so.
    InspectOutput(Subject),
    /// Put that away.
    CloseInspect,
    /// Whether before and after are in one picture there, and where the line is.
    Divide(bool, f32),
    /// Compare that output with the hash of its receipt.
    Check,
    /// List only what failed.
    OnlyFailed(bool),
    /// Compare outputs with the receipt's hashes.
    Verify,
    /// Open a file or folder in its program.
    Open(PathBuf),
    /// Put a message away.
    Dismiss(usize),
    /// Dark, light, or as the system.
    Theme(Option<bool>),
    /// Larger or smaller text.
    Zoom(f32),
    /// Widths of the files and of the pipeline were changed.
    Widths([f32; 2]),
    /// Show or hide the overview of keys.
    Help(bool),
    /// Close the window, though work goes on.
    Quit,
    /// Do not close the window.
    StayOpen,
}
