//! Dead letters on a broker whose queue an earlier version declared.

#![allow(clippy::unwrap_used)]

use cloud::queue::rabbitmq::{RabbitConfig, RabbitQueue};
use cloud::queue::{Message, Queue as _, QueueName};
use cloud::testing::{RabbitMq, available};
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};

/// More often than a broker of version 4 gives a message out where nothing is said.
const LOOKS: usize = 50;

async fn stay(queue: &RabbitQueue) {
    let letter = Message::new(QueueName::DeadLetters, "letter");
    queue.publish(vec![letter]).await.unwrap();
    let mut consumer = queue.consume(&QueueName::DeadLetters, 1).await.unwrap();
    for _ in 0..LOOKS {
        // Nobody settles it.
        drop(consumer.next().await.unwrap());
    }
    let delivery = consumer.next().await.unwrap();
    assert_eq!(delivery.body, "letter");
    delivery.ack().await.unwrap();
}

#[tokio::test]
async fn dead_letters_stay_however_often_somebody_looks_and_whoever_declared_their_queue() {
    if !available(RabbitMq::program(), "RabbitMQ") {
        return;
    }
    let broker = RabbitMq::start().unwrap();
    let name = QueueName::DeadLetters.to_string();
    let properties = ConnectionProperties::default();
    let connection = Connection::connect(&broker.url(), properties)
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let mut earlier = FieldTable::default();
    let kind = AMQPValue::LongString("quorum".into());
    earlier.insert("x-queue-type".into(), kind);
    let options = QueueDeclareOptions::durable();
    let declared = channel.queue_declare(name.as_str().into(), options, earlier);
    declared.await.unwrap();
    let connect = || RabbitQueue::new(RabbitConfig::new(&broker.url()).unwrap()).unwrap();
    stay(&connect()).await;

    // And where it is made now.
    let channel = connection.create_channel().await.unwrap();
    let removed = channel.queue_delete(name.as_str().into(), Default::default());
    removed.await.unwrap();
    stay(&connect()).await;
}
