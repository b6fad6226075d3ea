//! A remote store whose calls are counted and timed: what operators look at when work waits for it.

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// Counts `sundog_store_calls_total{call, outcome}` and times `sundog_store_call_seconds{call}`. The client's own
/// repetitions are one call.
#[derive(Debug)]
pub(super) struct Counted(pub Arc<dyn ObjectStore>);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What came of a call, in words from a fixed list.
fn outcome<T>(result: &Result<T>) -> &'static str {
    match result {
        Ok(_) => "ok",
        // Answers that work depends on: the loser of a race, an object that is not there yet.
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => "exists",
        Err(Error::NotFound { .. }) => "missing",
        Err(Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) => "refused",
        Err(_) => "failed",
    }
}

fn count<T>(call: &'static str, began: Instant, result: &Result<T>) {
    metrics::counter!("sundog_store_calls_total", "call" => call, "outcome" => outcome(result))
        .increment(1);
    metrics::histogram!("sundog_store_call_seconds", "call" => call)
        .record(began.elapsed().as_secs_f64());
}

async fn timed<T>(call: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let began = Instant::now();
    let result = work.await;
    count(call, began, &result);
    result
}

/// Counts a stream as one call, with its first error or as it ends; the time is that to the first item.
fn counted<T: 'static>(
    call: &'static str,
    mut items: BoxStream<'static, Result<T>>,
) -> BoxStream<'static, Result<T>> {
    let began = Instant::now();
    let mut told = false;
    futures_util::stream::poll_fn(move |context| {
        let polled = items.poll_next_unpin(context);
        if let std::task::Poll::Ready(item) = &polled
            && !told
        {
            told = true;
            match item {
                Some(result) => count(call, began, result),
                None => count(call, began, &Ok(())),
            }
        }
        polled
    })
    .boxed()
}

#[async_trait]
impl ObjectStore for Counted {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let call = match options.mode {
            PutMode::Overwrite => "put",
            PutMode::Create | PutMode::Update(_) => "create",
        };
        timed(call, self.0.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        timed("put", self.0.put_multipart_opts(location, options)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let call = if options.head { "head" } else { "get" };
        timed(call, self.0.get_opts(location, options)).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        counted("delete", self.0.delete_stream(locations))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        counted("list", self.0.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        counted("list", self.0.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        timed("list", self.0.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        timed("copy", self.0.copy_opts(from, to, options)).await
    }
}
