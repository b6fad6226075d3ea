//! A store that answers badly, late, or not so that anyone hears it.

use super::{Case, Course, THREADS};
use crate::Failure;
use crate::cluster::StoreKind;
use crate::trial::Trial;
use cloud::testing::Weather;
use std::time::Duration;

/// A third of all requests are answered with 500 or 503.
pub const ERRORS: Case = Case {
    name: "store-errors",
    store: StoreKind::S3,
    needs_ranks: false,
    play: |trial| {
        let weather = Weather {
            errors: 1.0 / 3.0,
            ..Weather::default()
        };
        Box::pin(bad_weather(trial, weather))
    },
};

/// A third of all bodies are cut short.
pub const CUT: Case = Case {
    name: "store-cuts-bodies",
    store: StoreKind::S3,
    needs_ranks: false,
    play: |trial| {
        let weather = Weather {
            cuts: 1.0 / 3.0,
            ..Weather::default()
        };
        Box::pin(bad_weather(trial, weather))
    },
};

/// Half of all commits are stored, and nobody hears of it.
pub const LOST_REPLIES: Case = Case {
    name: "store-loses-replies",
    store: StoreKind::S3,
    needs_ranks: false,
    play: |trial| {
        let weather = Weather {
            lost_replies: 0.5,
            ..Weather::default()
        };
        Box::pin(bad_weather(trial, weather))
    },
};

/// The store does not answer for a minute.
pub const SILENT: Case = Case {
    name: "store-silent-60",
    store: StoreKind::S3,
    needs_ranks: false,
    play: |trial| Box::pin(silent(trial)),
};

/// Weather from the submission to the end of the job.
async fn bad_weather(trial: &mut Trial, weather: Weather) -> Result<Course, Failure> {
    trial.submit(1).await?;
    let seed = trial.dice.u64(..);
    set(trial, weather, seed)?;
    trial.dispatcher(THREADS)?;
    trial.dispatcher(THREADS)?;
    trial.ended().await?;
    let objects = trial
        .cluster
        .objects
        .as_ref()
        .ok_or("no server of objects")?;
    let spoiled = objects.spoiled();
    if spoiled == 0 {
        return Err("the weather was fair".into());
    }
    trial.note(format!("{spoiled} requests went wrong"));
    set(trial, Weather::default(), 0)?;
    Ok(Course::Through)
}

async fn silent(trial: &mut Trial) -> Result<Course, Failure> {
    trial.submit(1).await?;
    trial.dispatcher(THREADS)?;
    trial.dispatcher(THREADS)?;
    trial.midst().await?;
    let weather = Weather {
        silent: true,
        ..Weather::default()
    };
    set(trial, weather, 0)?;
    trial.note("the store answers nobody");
    trial.pause(Duration::from_secs(60)).await;
    set(trial, Weather::default(), 0)?;
    trial.ended().await?;
    Ok(Course::Through)
}

fn set(trial: &Trial, weather: Weather, seed: u64) -> Result<(), Failure> {
    let objects = trial
        .cluster
        .objects
        .as_ref()
        .ok_or("no server of objects")?;
    objects.set_weather(weather, seed);
    Ok(())
}
