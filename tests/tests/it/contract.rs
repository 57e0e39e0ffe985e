//! The contract of the ports: one test a check on the embedded engine, in memory and in a folder, and one test a module on
//! the AWS engines, whose checks wait in real time and so run side by side.

macro_rules! on_the_inline_engine {
    ($($module:ident: [$($check:ident),* $(,)?]),* $(,)?) => {
        mod in_memory {
            $(mod $module {
                use envoi_tests::contract::{embedded::EmbeddedEngine, $module};

                $(#[tokio::test]
                async fn $check() {
                    $module::$check(&EmbeddedEngine::in_memory()).await;
                })*
            })*
        }
    };
}

macro_rules! on_the_file_engine {
    ($($module:ident: [$($check:ident),* $(,)?]),* $(,)?) => {
        mod in_a_folder {
            $(mod $module {
                use envoi_tests::contract::{embedded::EmbeddedEngine, $module};

                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() {
                    $module::$check(&EmbeddedEngine::in_a_folder()).await;
                })*
            })*
        }
    };
}

envoi_tests::for_each_check!(on_the_inline_engine);
envoi_tests::for_each_check!(on_the_file_engine);

macro_rules! on_the_aws_engines {
    ($($module:ident: [$($check:ident),* $(,)?]),* $(,)?) => {
        mod aws {
            use envoi_tests::contract::aws::run_module;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $module() {
                run_module(stringify!($module)).await;
            })*
        }
    };
}

envoi_tests::for_each_check!(on_the_aws_engines);
